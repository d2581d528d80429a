"""Start the forking process inside what this machine gives, prove that it holds, and ask it for workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

from autograder.reports.model import Isolation
from autograder.sandbox import bubblewrap, probe, readable
from autograder.sandbox.errors import SandboxError, ZygoteDiedError
from autograder.worker.limits import WorkerLimits

__all__ = ["SandboxError", "WorkerUsage", "Zygote", "ZygoteDiedError"]

Mode = Literal["require", "best", "off"]

LAYERS = ("bubblewrap", "landlock", "seccomp")
_START_SECONDS = 120.0
_ANSWER_SECONDS = 30.0
_PROBE_LIMITS = WorkerLimits(memory_bytes=2**28, cpu_seconds=10)
_BOOT = "autograder/worker/boot.py"
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class WorkerUsage:
    """How a worker ended and what it used.

    `exit` is in words ("was killed by signal 11 (segmentation fault)"), None when the worker still ran and was killed by
    `reap`. `peak_bytes` counts torch itself too.
    """

    exit: str | None
    cpu_seconds: float
    peak_bytes: int
    killed: bool = False  # by a signal that no mistake in a program causes; its own process may have sent it, too


class Zygote:
    """A process with torch imported and no secret, that forks workers. Close clones before the one they come from."""

    def __init__(self, control: socket.socket, isolation: Isolation, process: subprocess.Popen[bytes] | None) -> None:
        self.isolation = isolation
        self.open_doors: tuple[str, ...] = ()  # what a worker of it could reach and should not, each with its cure
        self._control = control
        self._process = process

    @classmethod
    def start(cls, mode: Mode, *, layers: Collection[str] | None = None) -> Zygote:
        """Start one, inside the strongest of `layers` (all by default) that work here, and check what a worker of it cannot do.

        Raises SandboxError when `mode` is "require" and anything that it needs does not hold.
        """
        wanted = set() if mode == "off" or sys.platform != "linux" else set(LAYERS if layers is None else layers)
        missing: list[str] = []
        zygote = None
        program = bubblewrap.executable()
        if "bubblewrap" in wanted and program is None:
            missing.append("bubblewrap (bwrap is not installed)")
        elif "bubblewrap" in wanted:
            try:
                zygote = cls._launch(mode, wanted, program)
            except SandboxError as error:
                missing.append(f"bubblewrap ({error})")
        zygote = zygote or cls._launch(mode, wanted, None)
        try:
            return zygote._check(mode, wanted, missing)
        except BaseException:
            zygote.close()
            raise

    @classmethod
    def _launch(cls, mode: Mode, wanted: set[str], program: str | None) -> Zygote:
        ours, theirs = socket.socketpair()
        paths = readable.paths()
        inner = [os.path.realpath(sys.executable), "-s", "-P", "-S", "-B", str(readable.ROOT / _BOOT), str(theirs.fileno())]
        own = [readable.ROOT / name for name in readable.OWN_MODULES]
        interpreter = [Path(inner[0])]
        command = bubblewrap.command(program, inner, [*paths, *own, *interpreter]) if program else inner
        description = {
            "import_path": readable.import_path(),
            "root": str(readable.ROOT),
            "bubblewrap": program is not None,
            "privileges": mode != "off",
            "landlock": "landlock" in wanted,
            "seccomp": "seccomp" in wanted,
            "readable": [str(path) for path in paths],
            "devices": [str(path) for path in readable.DEVICES],
        }
        with tempfile.TemporaryFile() as errors:
            with theirs:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    pass_fds=(theirs.fileno(),),
                    cwd="/",
                    env=_environment(),
                    start_new_session=True,
                )
            zygote = cls(ours, Isolation(mode, ()), process)
            try:
                ours.settimeout(_START_SECONDS)
                ours.sendall(json.dumps(description).encode() + b"\n")
                ready = zygote._answer()
            except (ZygoteDiedError, OSError):
                zygote.close()
                raise SandboxError(_last_words(errors) or "the worker process did not start") from None
        zygote.isolation = Isolation(mode, tuple(ready["layers"]))
        ours.settimeout(_ANSWER_SECONDS)
        return zygote

    def _check(self, mode: Mode, wanted: set[str], missing: list[str]) -> Zygote:
        layers = self.isolation.layers
        missing += [f"{name} (this system has none)" for name in ("landlock", "seccomp") if name in wanted and name not in layers]
        with self.spawn(_PROBE_LIMITS) as stream:
            open_doors = probe.open_doors(stream)
        self.reap()
        self.open_doors = tuple(open_doors)
        missing = [*open_doors, *missing]
        if mode == "require" and open_doors:
            raise SandboxError(probe.advice(missing))
        self.isolation = Isolation(mode, layers, tuple(missing))
        return self

    def spawn(self, limits: WorkerLimits) -> socket.socket:
        """A stream to a fresh worker; one that still runs is killed first. Raises ZygoteDiedError."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._ask({"op": "spawn", "limits": asdict(limits)}, theirs)
        except BaseException:
            ours.close()
            raise
        return ours

    def reap(self) -> WorkerUsage:
        """End the worker and say how it ended and what it used. Raises ZygoteDiedError."""
        answer = self._ask({"op": "reap"})
        words = "used up its processor (CPU) time" if answer.get("out_of_time") else _in_words(answer.get("ended"))
        ended = answer.get("ended")
        killed = ended is not None and not answer.get("out_of_time") and os.WIFSIGNALED(ended) and os.WTERMSIG(ended) in _FROM_OUTSIDE
        return WorkerUsage(words, float(answer.get("cpu_seconds", 0.0)), int(answer.get("peak_bytes", 0)), killed)

    def spent(self) -> float | None:
        """Seconds of processor time that the running worker has used; None when there is none, or the system does not tell."""
        seconds = self._ask({"op": "spent"}).get("cpu_seconds")
        return float(seconds) if seconds is not None else None

    def clone(self, forbidden_names: Collection[str] = (), forbidden_operators: Collection[str] = ()) -> Zygote:
        """A second one, for another process of the grader, in whose workers these operations are forbidden from the start.

        A worker can also forbid them when it loads a submission; here they cost milliseconds once. Raises ZygoteDiedError.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._ask({"op": "clone", "forbidden_names": list(forbidden_names), "forbidden_operators": list(forbidden_operators)}, theirs)
        ours.settimeout(_ANSWER_SECONDS)
        twin = Zygote(ours, self.isolation, None)
        twin.open_doors = self.open_doors
        twin._answer()
        return twin

    def close(self) -> None:
        """End it and its worker."""
        self._control.close()
        if self._process is not None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _ask(self, message: dict[str, Any], passed: socket.socket | None = None) -> dict[str, Any]:
        data = json.dumps(message).encode() + b"\n"
        try:
            if passed is None:
                self._control.sendall(data)
            else:
                socket.send_fds(self._control, [data], [passed.fileno()])
        except OSError as error:
            raise ZygoteDiedError(f"the forking process is gone ({error})") from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = bytearray()
        deadline = time.monotonic() + (self._control.gettimeout() or _ANSWER_SECONDS)
        while not line.endswith(b"\n"):
            if time.monotonic() > deadline:
                raise ZygoteDiedError("the forking process does not answer")
            try:
                chunk = self._control.recv(65_536)
            except OSError as error:
                raise ZygoteDiedError(f"the forking process does not answer ({error})") from None
            if not chunk:
                raise ZygoteDiedError("the forking process has ended")
            line += chunk
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ZygoteDiedError(str(answer["error"]))
        return answer


def _environment() -> dict[str, str]:
    """Nothing of the grader's but where shared libraries lie. Workers have one thread, so no library may plan for more."""
    # Torch makes its cache folder as it is imported, and is content with one that exists. The same hash seed makes the same order of a set.
    fixed = {"TORCHINDUCTOR_CACHE_DIR": "/", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
    fixed |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return fixed | {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


def _in_words(status: int | None) -> str | None:
    if status is None:
        return None
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(ValueError):
            return f"was killed by signal {number} ({(signal.strsignal(number) or '').lower()})"
        return f"was killed by signal {number}"
    return f"exited with status {os.waitstatus_to_exitcode(status)}"


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read(100_000).decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else ""
