"""Sends every kind of signal to the forking process and to another process: by number, by queue, by thread, by descriptor, by timer."""

import contextlib
import ctypes
import os
import signal

libc = ctypes.CDLL(None, use_errno=True)
BYSTANDER = int("@BYSTANDER@")
for process in (BYSTANDER, os.getppid()):
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(OSError):
            os.kill(process, number)
            raise SystemExit(process)
        if libc.syscall(234, process, process, number) == 0 or libc.syscall(200, process, number) == 0:  # tgkill, tkill
            raise SystemExit(process)
        descriptor = libc.syscall(434, process, 0)  # pidfd_open
        if descriptor >= 0 and libc.syscall(424, descriptor, number, None, 0) == 0:  # pidfd_send_signal
            raise SystemExit(process)
    if libc.setpriority(0, process, 19) == 0 or libc.sched_setaffinity(process, 8, ctypes.byref(ctypes.c_uint64(1))) == 0:
        raise SystemExit(process)
