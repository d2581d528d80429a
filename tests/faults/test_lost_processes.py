"""A process below the grader is killed in the midst of a grading: the report is that of an undisturbed one."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from graded_class import below
from warm_grader import ROOT, grade, warm_grader

from autograder.grading.worker_link import WorkerLink
from autograder.reports.model import Report

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")

RIGHT = (ROOT / "reference_solutions" / "attention.py").read_text()
_FIFTH = 5


def _facts(report: Report) -> Any:
    return report.score, report.tests, report.flags, report.message, report.status, report.sandbox


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _depth(pid: int) -> int:
    return 0 if pid <= 1 else 1 + _depth(_parent(pid))


@pytest.fixture(scope="module")
def undisturbed() -> Any:
    return _facts(grade(RIGHT))


@pytest.mark.parametrize("victim", ["worker", "zygote"])
def test_what_died_is_started_again_and_costs_no_point(undisturbed: Any, victim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tests: list[int] = []
    start_test = WorkerLink.start_test

    def kill_in_the_fifth(link: WorkerLink, seed: int) -> None:
        tests.append(seed)
        if len(tests) == _FIFTH:
            first = warm_grader()._zygotes._first
            assert first is not None
            assert first._process is not None
            processes = below(first._process.pid)  # of this grader alone: other tests of the same process keep forking processes too
            worker = max(processes, key=_depth)  # forking processes for other assignments wait one step above
            os.kill(worker if victim == "worker" else _parent(worker), signal.SIGKILL)
        start_test(link, seed)

    monkeypatch.setattr(WorkerLink, "start_test", kill_in_the_fifth)
    assert _facts(grade(RIGHT)) == undisturbed
    assert tests.count(tests[_FIFTH - 1]) == 2  # it was graded once more from the beginning
