"""Raises an exception at import that cannot be made without arguments, to make the grader stumble over it."""

raise ExceptionGroup("stumble", [UnicodeDecodeError("utf-8", b"x", 0, 1, "x")])
