"""Where the time of one grading goes: the same class graded in this process, with a stopwatch on each step.

python -m autograder.bench.breakdown SUBMISSIONS RESULTS BREAKDOWN.json
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import torch

from autograder.bench.population import ASSIGNMENT, NAME
from autograder.course.course import load_course
from autograder.grading.diagnosis import Diagnostician
from autograder.grading.grade import Grader
from autograder.grading.paths import REPOSITORY
from autograder.grading.run import Run
from autograder.grading.suite import Suite
from autograder.grading.worker_link import WorkerLink
from autograder.results.ledger import Ledger
from autograder.sandbox.zygote import Zygote
from autograder.submissions.find import find_submissions

# In the order of a grading; time counts for the innermost step.
STEPS = {
    "read": "read the submission, name its report",
    "fork": "fork a worker and close it in",
    "analyse": "analyse the source in the worker",
    "load": "load the module in the worker",
    "protocol": "pytest's protocol around each test",
    "checks": "the tests' own arithmetic: inputs, oracles, comparisons",
    "wire": "questions and answers: encode, decode, check",
    "worker": "wait for the worker: the student's code and its side of the wire",
    "diagnosis": "replay failed tests with known misconceptions",
    "reap": "end the worker",
    "report": "write the report",
    "rest": "everything else",
}
_WHOLE = ("analyse", "load", "diagnosis")  # made of smaller steps that are not told apart


class Stopwatch:
    """Adds up the time between switches to the innermost step."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)
        self._steps = ["rest"]
        self._since = (time.perf_counter(), time.process_time())

    def reset(self) -> None:
        self._note()
        self.wall.clear()
        self.cpu.clear()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._note()
        self._steps.append(self._steps[-1] if self._steps[-1] in _WHOLE and name != "fork" else name)
        try:
            yield
        finally:
            self._note()
            self._steps.pop()

    def _note(self) -> None:
        now = (time.perf_counter(), time.process_time())
        step = self._steps[-1]
        self.wall[step] += now[0] - self._since[0]
        self.cpu[step] += now[1] - self._since[1]
        self._since = now

    def around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.step(name):
                return function(*args, **kwargs)

        return timed


def instrument(watch: Stopwatch, suite: Suite) -> None:
    """Put the stopwatch on the methods that a grading goes through. For this process only, which ends with the measurement."""
    steps: tuple[tuple[Any, str, str], ...] = (
        (Zygote, "spawn", "fork"),
        (WorkerLink, "analyse", "analyse"),
        (WorkerLink, "load", "load"),
        (WorkerLink, "ask", "wire"),
        (WorkerLink, "close", "reap"),
        (Diagnostician, "diagnose", "diagnosis"),
        (Suite, "_run_one", "protocol"),
        (Ledger, "write", "report"),
        (Run, "_task", "read"),
    )
    for owner, method, name in steps:
        setattr(owner, method, watch.around(getattr(owner, method), name))
    link: Any = sys.modules[WorkerLink.__module__]
    link.read_frame = watch.around(link.read_frame, "worker")
    for item in suite._items:
        item.obj = watch.around(item.obj, "checks")


def break_down(submissions: Path, results: Path) -> dict[str, Any]:
    """Seconds per submission for each step, of wall clock and of this process's CPU, and what its workers used."""
    torch.set_num_threads(1)
    course = load_course(REPOSITORY / "course.toml")
    handed = find_submissions(submissions, course, (course.find(ASSIGNMENT),)).handed
    run = Run(course, Ledger(results), b"benchmark", "require", 1)
    watch = Stopwatch()
    with Grader() as grader:
        instrument(watch, grader.suite(NAME))
        for entry in handed:
            grader.grade(run._task(entry))
        watch.reset()
        workers = 0.0
        for entry in handed:
            own = time.process_time()
            report = grader.grade(run._task(entry))
            workers += max(0.0, report.cpu_seconds - (time.process_time() - own))
            run.ledger.write(report)
        watch._note()
    size = len(handed)
    return {
        "size": size,
        "wall": {step: watch.wall[step] / size for step in STEPS},
        "cpu": {step: watch.cpu[step] / size for step in STEPS},
        "workers_cpu": workers / size,
    }


if __name__ == "__main__":
    measured = break_down(Path(sys.argv[1]), Path(sys.argv[2]))
    Path(sys.argv[3]).write_text(json.dumps(measured), encoding="utf-8")
