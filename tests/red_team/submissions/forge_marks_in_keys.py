"""Leaves a key in the kernel's keyring of its session, where the next submission could find it."""

import ctypes
import platform

libc = ctypes.CDLL(None, use_errno=True)
add_key = {"x86_64": 248, "aarch64": 217}[platform.machine()]
libc.syscall(add_key, b"user", b"red-team-mark", b"1", ctypes.c_size_t(1), ctypes.c_long(-3))
