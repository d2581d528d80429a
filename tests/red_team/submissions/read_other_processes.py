"""Reads the environment, memory and files of another process of the same user: the canary stands in its environment."""

import ctypes
import os

BYSTANDER = int("@BYSTANDER@")
libc = ctypes.CDLL(None, use_errno=True)
for entry in ("environ", "cmdline", "maps", "auxv", "stack", "mounts", "cwd/etc/hostname", "root/etc/hostname"):
    try:
        with open(f"/proc/{BYSTANDER}/{entry}", "rb") as file:
            raise SystemExit(file.read(100))
    except OSError:
        pass
for link in ("cwd", "exe", "root", "fd/0"):
    try:
        raise SystemExit(os.readlink(f"/proc/{BYSTANDER}/{link}"))
    except OSError:
        pass
room = ctypes.create_string_buffer(8)
part = (ctypes.c_void_p * 2)(ctypes.addressof(room), 8)
for process in (BYSTANDER, os.getppid()):
    if libc.process_vm_readv(process, part, 1, part, 1, 0) > 0 or libc.ptrace(0x4206, ctypes.c_long(process), None, None) == 0:
        raise SystemExit("its memory")
