"""Names that come from outside and become names of folders and files."""

from __future__ import annotations

MAX_BYTES = 255  # the longest name of a folder on the usual file systems


class SafeNameError(ValueError):
    """A name that would lead out of the folder it belongs in, or that no file system can hold."""


def check_name(name: str, what: str = "name") -> str:
    """Return `name` when it can be one folder or file: spaces, quotes and emoji may be in it. Raises SafeNameError."""
    problem = None
    if not name:
        problem = "is empty"
    elif name in (".", ".."):
        problem = "means a folder itself"
    elif "/" in name or "\\" in name:
        problem = "holds a path separator"
    elif "\0" in name:
        problem = "holds a NUL character"
    elif len(name.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        problem = f"is longer than {MAX_BYTES} bytes"
    if problem:
        raise SafeNameError(f"the {what} {name[:80]!r} {problem}; expected one that can be the name of a single folder")
    return name
