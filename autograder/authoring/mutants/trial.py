"""One mutant through its hidden suite in this process's own children: bounded in time and memory, as far as the first test that fails."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from autograder.authoring.examine import load_solution
from autograder.grading.paths import REFERENCES
from autograder.grading.seeds import seed_for_test
from autograder.grading.suite import Suite

SEED = "mutants"
_SUITES: dict[str, Suite] = {}
_MEMORY_BYTES = 6 << 30  # beyond what the process has mapped: torch itself maps much more than it uses
_CRASHED, _TIMED_OUT = "(crash)", "(time)"


@dataclass(frozen=True)
class Trial:
    """killed_by: the first test that failed, or what ended the process in its place; None when all passed. cpu_seconds: by test that passed."""

    killed_by: str | None
    cpu_seconds: dict[str, float]


def suite_of(name: str) -> Suite:
    """The assignment's suite, collected once in this process, and run once: a child then finds warm what torch makes at its first use."""
    if name not in _SUITES:
        torch.set_num_threads(1)
        suite = _SUITES[name] = Suite(name)
        reference = load_solution(name, (REFERENCES / f"{name}.py").read_text(encoding="utf-8"))
        for test in suite.manifest:
            if not test.costly:
                suite.run_one(test.id, reference, seed_for_test(SEED, test.id))
    return _SUITES[name]


def try_source(suite: Suite, source: str, tests: Sequence[str], cpu_seconds: int) -> Trial:
    """Run `tests` in this order on `source`, in a child that has `cpu_seconds` of processor time and some gigabytes; all are forgotten after it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _run(suite, source, tests, cpu_seconds, writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as answers:
        # A child that sleeps uses no processor; on a busy machine one that works may wait long.
        timed_out, lines = not _read_until(answers.fileno(), time.monotonic() + 20 * cpu_seconds, received := bytearray()), received
    if timed_out:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    passed: dict[str, float] = {}
    for line in lines.splitlines():
        test, outcome, seconds = json.loads(line)
        if outcome == "failed":
            return Trial(test, passed)
        passed[test] = seconds
    if len(passed) == len(tests):
        return Trial(None, passed)
    out_of_time = timed_out or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL))
    return Trial(_TIMED_OUT if out_of_time else _CRASHED, passed)


def _read_until(descriptor: int, deadline: float, received: bytearray) -> bool:
    """False when the deadline came before the end."""
    while (left := deadline - time.monotonic()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                return True
            received += chunk
    return False


def _run(suite: Suite, source: str, tests: Sequence[str], cpu_seconds: int, writing: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    memory = _mapped_bytes() + _MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module = None
    with contextlib.suppress(Exception):
        module = load_solution(suite.name, source)
    for test in tests:
        started = time.process_time()
        failed = module is None or suite.run_one(test, module, seed_for_test(SEED, test)).raised is not None
        os.write(writing, json.dumps([test, "failed" if failed else "passed", round(time.process_time() - started, 4)]).encode() + b"\n")
        if failed:
            return


def _mapped_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
