"""Write a file so that its name holds the old content or the whole new one, whenever the machine stops."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from pathlib import Path

# A writer that is still at work may own a younger one: several graders can share a folder.
_LEFT_BEHIND_SECONDS = 3600


class LedgerError(Exception):
    """The results folder cannot be read or written."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` under `path`, making its folder. Raises LedgerError, and then `path` is as it was."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error.strerror}; {_advice(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that a killed writer left in `folder`."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - _LEFT_BEHIND_SECONDS:
                path.unlink()


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room on the disk and run again: what was written before is kept"
    if error.errno == errno.EFBIG:
        return "raise the limit on file sizes (ulimit -f) and run again: what was written before is kept"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make the folder writable, or name another one with --results"
    return "check the folder, or name another one with --results"
