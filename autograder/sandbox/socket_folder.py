"""Where sockets with a name can lie: their paths are short by the kernel's will, and TMPDIR need not be."""

from __future__ import annotations

import os
import tempfile

_LONGEST = 70  # bytes; names of folder and socket add up to 32, and Linux allows 107 in all, macOS 103


def socket_folder() -> str:
    """The folder for temporary files, or /tmp where its path is too long for a socket in it."""
    folder = tempfile.gettempdir()
    return "/tmp" if os.name == "posix" and len(os.fsencode(folder)) > _LONGEST else folder
