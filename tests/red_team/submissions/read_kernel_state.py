"""Asks the kernel for what others do: its log, its list of mounts, keys, message queues, counters of performance."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(4096)
FOUND = {
    "log": lambda: libc.klogctl(3, room, 4096) > 0,
    "counters": lambda: libc.syscall(298, ctypes.create_string_buffer(b"\0\0\0\0\x70", 112), 1, -1, -1, 0) >= 0,
    "io_uring": lambda: libc.syscall(425, 1, ctypes.create_string_buffer(120)) >= 0,
    "bpf": lambda: libc.syscall(321, 0, room, 120) >= 0,
    "faults": lambda: libc.syscall(323, 0) >= 0,
    "namespace": lambda: libc.unshare(0x20000000) == 0,
}
for name, attempt in FOUND.items():
    if attempt():
        raise SystemExit(name)
