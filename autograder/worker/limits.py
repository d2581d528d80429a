"""Resource limits of a worker, set once before it loads a submission."""

from __future__ import annotations

import contextlib
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRATCH_FILE_BYTES = 16 * 2**20
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
    """Size of this process's address space; 0 where /proc does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return 0
    return pages * resource.getpagesize()


def apply(limits: WorkerLimits, baseline_bytes: int) -> None:
    """Lower hard and soft limits alike: they cannot be raised again."""
    wanted = {
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_FSIZE: SCRATCH_FILE_BYTES,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if baseline_bytes:
        wanted[resource.RLIMIT_AS] = baseline_bytes + limits.memory_bytes
    for name in ("RLIMIT_NPROC", "RLIMIT_MSGQUEUE", "RLIMIT_MEMLOCK", "RLIMIT_SIGPENDING"):
        if hasattr(resource, name):
            wanted[getattr(resource, name)] = 0 if name != "RLIMIT_SIGPENDING" else 16
    for kind, value in wanted.items():
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS knows some limits by name only
            resource.setrlimit(kind, (value, value))
