"""Run a command to its end and say what it and every process that it started cost."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.bench.sampling import Sampler, children

_PR_SET_CHILD_SUBREAPER = 36
_GRACE_SECONDS = 10.0  # for processes that end because their parent did


class CommandError(Exception):
    """A command ended with an error; `str()` names it and its last words."""


@dataclass(frozen=True)
class Usage:
    """cpu_seconds: user and system, of the whole tree. largest_process_bytes: resident, torch's shared libraries included.

    tree_bytes: the most that all processes held at once, a shared page counted once; None where this system does not say.
    leftovers: processes that had to be killed because they outlived the command.
    """

    wall_seconds: float
    cpu_seconds: float
    largest_process_bytes: int
    tree_bytes: int | None
    leftovers: int


def adopt_orphans() -> bool:
    """Make this process the parent of what its descendants leave behind, so that nothing escapes the account. False where that cannot be."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    return False


def run_measured(
    command: Sequence[str | Path], environment: Mapping[str, str], folder: Path, log: Path, watch: Callable[[int], Sampler] = Sampler
) -> Usage:
    """Run to the end. Nothing else may be a child of this process meanwhile. `watch` is given the command's process. Raises CommandError.

    Ctrl-C ends the command and everything it started before KeyboardInterrupt goes on.
    """
    adopted = adopt_orphans()
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    sampler = watch(process.pid)
    try:
        with sampler:
            _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        account = _Account(usage.ru_utime + usage.ru_stime, _peak_bytes(usage.ru_maxrss))
        leftovers = _collect_orphans(account, sampler.inside) if adopted else 0
    except BaseException:
        _kill_all(process.pid, adopted)
        raise
    finally:
        process.returncode = 0  # it was waited for here: Popen has nothing left to do
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise CommandError(f"{' '.join(map(str, command[:6]))} … ended with {code}: {_last_words(log)}")
    return Usage(wall, account.cpu_seconds, account.largest_bytes, sampler.most_bytes, leftovers)


@dataclass
class _Account:
    cpu_seconds: float
    largest_bytes: int


def _collect_orphans(account: _Account, inside: dict[int, float]) -> int:
    """Wait for what the command left, count it in, and kill what does not end by itself. How many had to be killed.

    inside: see Sampler. A namespace that ended in order has been waited for by others, its time with it.
    """
    deadline = time.monotonic() + _GRACE_SECONDS
    killed: set[int] = set()
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return len(killed)
        if pid:
            seconds = usage.ru_utime + usage.ru_stime
            account.cpu_seconds += max(seconds, inside.get(pid, 0.0))
            account.largest_bytes = max(account.largest_bytes, _peak_bytes(usage.ru_maxrss))
            continue
        if time.monotonic() > deadline:
            for child in set(children(os.getpid())) - killed:
                killed.add(child)
                _signal(child)
        time.sleep(0.005)


def _kill_all(pid: int, adopted: bool) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline:
        for child in children(os.getpid()) if adopted else ():
            _signal(child)
        try:
            if os.wait4(-1 if adopted else pid, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            return


def _signal(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _peak_bytes(maxrss: int) -> int:
    return maxrss if sys.platform == "darwin" else maxrss * 1024


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-500:] or "it said nothing"
