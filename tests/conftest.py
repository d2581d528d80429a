"""Settings of Hypothesis for all tests: no deadline for an example, since machines are shared and a pause is no fault."""

from hypothesis import settings

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")
