"""Raises its own limits, moves to another group, another user, another root, and asks for privileges."""

import contextlib
import ctypes
import os
import resource

libc = ctypes.CDLL(None, use_errno=True)
for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC):
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            resource.setrlimit(kind, (hard + 1, hard + 1))
            raise SystemExit(kind)
for way in (lambda: os.setuid(12345), lambda: os.chroot("/usr"), lambda: os.setgid(12345), lambda: os.setgroups([12345])):
    with contextlib.suppress(OSError):
        way()
        raise SystemExit("another user or root")
data = (ctypes.c_uint32 * 6)(*([0xFFFFFFFF] * 6))
if libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), data) == 0 or libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0:
    raise SystemExit("privileges")
