"""The grader of the Transformer course: every folder below is one job."""

__version__ = "0.1.0"
