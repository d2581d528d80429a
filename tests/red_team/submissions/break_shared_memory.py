"""Fills memory that no limit of its own counts: /dev/shm, memory files, System V segments, shared mappings, locked pages."""

import contextlib
import ctypes
import mmap
import os

libc = ctypes.CDLL(None, use_errno=True)
with contextlib.suppress(OSError):
    descriptor = os.memfd_create("red-team-mark")
    os.ftruncate(descriptor, 2**33)
    raise SystemExit("a memory file")
with contextlib.suppress(OSError):
    descriptor = os.open("/dev/shm/red-team-mark", os.O_CREAT | os.O_RDWR)
    os.posix_fallocate(descriptor, 0, 2**33)
    raise SystemExit("/dev/shm")
if libc.shmget(0, ctypes.c_size_t(2**33), 0o1600) >= 0:
    raise SystemExit("System V shared memory")
with contextlib.suppress(OSError, ValueError):
    mmap.mmap(-1, 2**33)
    raise SystemExit("a shared mapping")
if libc.mlockall(3) == 0:
    raise SystemExit("locked pages")
