"""Leaves marks wherever the next submission could find them: shared memory, keys, queues, sockets without a file, locks, files."""

import contextlib
import ctypes
import os
import socket

libc = ctypes.CDLL(None, use_errno=True)
kept = []
libc.shmget(0x7ED7EA, 4096, 0o1666)
libc.syscall(248, b"user", b"red-team-mark", b"1", ctypes.c_size_t(1), ctypes.c_long(-3))  # add_key to the session's keyring
libc.msgget(0x7ED7EA, 0o1666)
libc.semget(0x7ED7EA, 1, 0o1666)
with contextlib.suppress(OSError):
    kept.append(socket.socket(socket.AF_UNIX))
    kept[-1].bind("\0red-team-mark")
    kept[-1].listen()
for folder in ("/dev/shm", "/tmp", "/var/tmp", "/dev/mqueue", "/run"):
    with contextlib.suppress(OSError):
        os.close(os.open(f"{folder}/red-team-mark", os.O_CREAT | os.O_WRONLY))
with contextlib.suppress(OSError):
    kept.append(os.memfd_create("red-team-mark"))
