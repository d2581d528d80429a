"""Fills memory that no limit of its own counts: memory files, System V segments, secret memory, shared mappings, locked pages."""

import contextlib
import ctypes
import mmap
import os

libc = ctypes.CDLL(None, use_errno=True)
with contextlib.suppress(OSError):
    os.memfd_create("red-team-mark")
    raise SystemExit("a memory file")
if libc.shmget(0, ctypes.c_size_t(2**33), 0o1600) >= 0:
    raise SystemExit("System V shared memory")
if libc.syscall(447, 0) >= 0:
    raise SystemExit("secret memory")
with contextlib.suppress(OSError, ValueError):
    mmap.mmap(-1, 2**33)
    raise SystemExit("a shared mapping")
if libc.mlockall(3) == 0:
    raise SystemExit("locked pages")
