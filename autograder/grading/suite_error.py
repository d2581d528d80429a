"""The error of a course whose hidden suite cannot be used."""


class SuiteError(Exception):
    """A hidden suite is missing or cannot be collected; the course, not a submission, is at fault."""
