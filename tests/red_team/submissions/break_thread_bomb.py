"""Starts a thousand threads and a thousand processes that start others, by Python, by the C library and by bare system calls."""

import ctypes
import os
import threading

libc = ctypes.CDLL(None, use_errno=True)
started = 0
for _ in range(1000):
    try:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        started += 1
    except RuntimeError:
        break
if started:
    raise SystemExit(started)
handle = ctypes.c_ulong()
if libc.pthread_create(ctypes.byref(handle), None, ctypes.cast(libc.pause, ctypes.c_void_p), None) == 0:
    raise SystemExit("a thread")
if libc.syscall(56, 0x11, 0, 0, 0, 0) > 0 or libc.syscall(58) > 0 or libc.syscall(435, ctypes.create_string_buffer(88), 88) > 0:
    os._exit(3)
