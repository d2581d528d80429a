"""What a measurement was made on and with, in words."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

from autograder.bench.other_tools import pins


def description() -> dict[str, str]:
    return {
        "processor": f"{_processor()}, {_cores()} cores used",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "pytest": importlib.metadata.version("pytest"),
    } | pins()


def load_note() -> str:
    """A warning when others were using the machine."""
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return f"The machine was busy with other work when this began (load {busy:.1f} on {_cores()} cores)." if busy > _cores() / 2 else ""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or platform.machine())


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "unknown"
