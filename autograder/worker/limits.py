"""Resource limits of a worker, set once before it loads a submission."""

from __future__ import annotations

import mmap
import resource
import sys
from dataclasses import dataclass
from typing import Any

OPEN_FILES = 64


@dataclass(frozen=True)
class WorkerLimits:
    """memory_bytes counts from what the worker has mapped before it loads a submission."""

    memory_bytes: int
    cpu_seconds: int

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> WorkerLimits:
        return cls(memory_bytes=int(raw["memory_bytes"]), cpu_seconds=int(raw["cpu_seconds"]))


def mapped_bytes() -> int:
    """Size of this process's address space; 0 where the system does not limit it.

    Found by asking below which limit one more page is refused, since /proc may be closed.
    """
    if sys.platform != "linux":
        return 0
    page = resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    below, above = 0, 2**47 // page
    while above - below > 1:
        middle = (below + above) // 2
        resource.setrlimit(resource.RLIMIT_AS, (middle * page, hard))
        try:
            mmap.mmap(-1, page).close()
            above = middle
        except OSError:
            below = middle
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return below * page


def prepare(limits: WorkerLimits, baseline_bytes: int) -> list[tuple[int, int]]:
    """Kinds of limit and their values, none above what this process has itself."""
    wanted = {
        resource.RLIMIT_CPU: limits.cpu_seconds + 1,
        resource.RLIMIT_FSIZE: 0,  # a worker has no folder to write to; if it finds one, it can leave no byte there
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if baseline_bytes:
        wanted[resource.RLIMIT_AS] = baseline_bytes + limits.memory_bytes
    for name, value in (("RLIMIT_NPROC", 0), ("RLIMIT_MSGQUEUE", 0), ("RLIMIT_MEMLOCK", 0), ("RLIMIT_SIGPENDING", 16)):
        if hasattr(resource, name):
            wanted[getattr(resource, name)] = value
    return [(kind, _at_most(value, resource.getrlimit(kind)[1])) for kind, value in wanted.items()]


def apply(prepared: list[tuple[int, int]]) -> None:
    """Lower hard and soft limits alike: they cannot be raised again."""
    for kind, value in prepared:
        # Past its soft limit of processor time a worker gets a signal that tells why; past the hard one it is killed.
        soft = max(1, value - 1) if kind == resource.RLIMIT_CPU else value
        try:
            resource.setrlimit(kind, (soft, value))
        except (ValueError, OSError):
            if sys.platform == "linux":
                raise
            # macOS knows some limits by name only


def _at_most(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
