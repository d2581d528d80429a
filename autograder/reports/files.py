"""Writing what was rendered: whole files or none."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from autograder.course.names import SafeNameError, check_name

_ADVICE = {
    errno.ENOSPC: "The disk is full: free some space and run again. What was written before is untouched.",
    errno.EDQUOT: "Your disk quota is used up: free some space and run again. What was written before is untouched.",
    errno.EFBIG: "Raise the limit on file sizes (ulimit -f) and run again. What was written before is untouched.",
    errno.EACCES: "Make the folder writable, or choose another with --results.",
    errno.EPERM: "Make the folder writable, or choose another with --results.",
    errno.EROFS: "The disk is read-only: choose another folder with --results.",
    errno.ENOTDIR: "A file lies where a folder is needed: move it away.",
    errno.EEXIST: "A file lies where a folder is needed: move it away.",
    errno.EISDIR: "A folder lies where a file is to be written: move it away.",
    errno.ENAMETOOLONG: "The name is too long for this disk: rename the student's folder.",
}


class ReportError(Exception):
    """A report cannot be written; `str()` names the path, the reason and what to do."""


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader, or a run that is killed, finds the old file or the new one, never a part.

    Makes the folders above. Nothing waits for the disk: what is rendered can be rendered again. Raises ReportError.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")  # not from the file's own name, which may be as long as names can be
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(text.encode("utf-8", "replace"))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "Check the folder and the disk, and run again.")
        raise ReportError(f"cannot write {str(path)!r}: {error.strerror or error}. {advice}") from None


def folder_of(student: str) -> str:
    """A student's own folder name, refused when it would lead elsewhere. Raises ReportError."""
    try:
        return check_name(student, "student's name")
    except SafeNameError as error:
        raise ReportError(f"{error}. Rename the submission's folder.") from None
