"""What a tree of processes looks like while it runs: memory, and CPU time that the kernel will forget (Linux; nothing elsewhere)."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

_CPU_SECONDS, _MEMORY_EVERY = 0.1, 5


class Sampler:
    """Looks at the CPU of a tree ten times a second and at its memory twice.

    most_bytes: the most that all processes held at once, a shared page counted once; None where that is not to be seen.
    inside: for the first process of each PID namespace, the CPU seconds of all others in there when they were last seen. When
    a namespace ends by force, the kernel collects these processes without adding their time to anybody's.
    """

    def __init__(self, pid: int) -> None:
        self.most_bytes: int | None = None
        self.inside: dict[int, float] = {}
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        round_number = 0
        while not self._done.wait(_CPU_SECONDS):
            round_number += 1
            processes = [self._pid, *descendants(self._pid)]
            for pid in processes:
                if _first_of_a_namespace(pid):
                    self.inside[pid] = max(self.inside.get(pid, 0.0), sum(map(_cpu_seconds, descendants(pid))))
            if round_number % _MEMORY_EVERY == 0:
                known = [size for size in map(_own_share_bytes, processes) if size is not None]
                if known:
                    self.most_bytes = max(self.most_bytes or 0, sum(known))


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    return found


def _first_of_a_namespace(pid: int) -> bool:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                numbers = line.split()[1:]
                return len(numbers) > 1 and numbers[-1] == "1"
    return False


def _cpu_seconds(pid: int) -> float:
    """Of the process, and of children that it has waited for."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _own_share_bytes(pid: int) -> int | None:
    """Resident memory, each page divided by the number of processes that map it; undivided where that is not to be seen."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    return None
