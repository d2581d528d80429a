"""The few system calls that Python's standard library does not offer, through ctypes."""

from __future__ import annotations

import ctypes
import os
import platform

_libc = ctypes.CDLL(None, use_errno=True)

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_PDEATHSIG = 1
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522


def prctl(option: int, argument: int = 0, pointer: ctypes.c_void_p | None = None) -> int:
    """prctl(2). Raises OSError."""
    result = _libc.prctl(option, ctypes.c_ulong(argument), pointer if pointer is not None else ctypes.c_ulong(0), 0, 0)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}): {os.strerror(ctypes.get_errno())}")
    return int(result)


def syscall(number: int, *arguments: object) -> int:
    """A raw system call. Raises OSError."""
    result = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}: {os.strerror(ctypes.get_errno())}")
    return int(result)


def drop_capabilities() -> None:
    """Give up every capability, so that uid 0 is an ordinary user. Raises OSError."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    syscall(_CAPSET[platform.machine()], ctypes.byref(header), ctypes.byref(data))
