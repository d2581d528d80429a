"""Gather this process's memory in huge pages, so that fork copies a few hundred table entries instead of tens of thousands.

Nothing depends on it: where the kernel has no MADV_COLLAPSE (before Linux 6.1), nothing happens. /proc is not needed.
"""

from __future__ import annotations

import ctypes
import gc
import sys

_HUGE_PAGE = 2**21
_MADV_COLLAPSE = 25


def heap_end() -> int:
    """Where the C library's heap ends now; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None)
    libc.sbrk.restype = ctypes.c_void_p
    return int(libc.sbrk(ctypes.c_ssize_t(0)) or 0)


def gather(heap_start: int) -> int:
    """Collapse the heap from `heap_start` on and the arenas of Python's objects; returns how many huge pages came of it."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None)
    blocks = set(range(heap_start // _HUGE_PAGE, heap_end() // _HUGE_PAGE + 1)) if heap_start else set()
    blocks |= {id(value) // _HUGE_PAGE for value in gc.get_objects()}
    return sum(
        libc.madvise(ctypes.c_void_p(block * _HUGE_PAGE), ctypes.c_size_t(_HUGE_PAGE), ctypes.c_int(_MADV_COLLAPSE)) == 0 for block in sorted(blocks)
    )
