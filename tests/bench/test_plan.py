"""The run of the whole benchmark, with tools that cost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from autograder.bench import plan
from autograder.bench.contestants import Contestant
from autograder.bench.figures import Sample
from autograder.bench.other_tools import Tools
from autograder.bench.population import Entry
from autograder.bench.process_tree import CommandError, Usage

READY = Tools(Path("python"), {})


class Fake(Contestant):
    def __init__(self, key: str, error: BaseException | None = None) -> None:
        self.key = self.title = key
        self.error = error
        self.runs = 0

    def grade(self, entries: Sequence[Entry], folder: Path) -> Sample:
        self.runs += 1
        if self.error is not None:
            raise self.error
        return Sample(len(entries), Usage(1.0, 1.0, 1, None, 0), {})


@pytest.fixture(autouse=True)
def _no_breakdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_break_down", lambda results, folder: None)


def test_a_rehearsal_is_not_counted(tmp_path: Path) -> None:
    tool = Fake("a")
    results = plan.execute([plan.Step(tool, 1, rehearsal=True), plan.Step(tool, 2)], READY, tmp_path, lambda _title: None)
    assert [sample.size for sample in results.records["a"].samples] == [2]


def test_a_tool_that_fails_is_left_out_and_the_rest_goes_on(tmp_path: Path) -> None:
    broken, good = Fake("broken", CommandError("no kernel")), Fake("good")
    steps = [plan.Step(broken, 1), plan.Step(broken, 1), plan.Step(good, 1)]
    results = plan.execute(steps, READY, tmp_path, lambda _title: None)
    assert broken.runs == 1
    assert results.records["broken"].problem == "no kernel"
    assert results.problems == ["broken: no kernel"]
    assert len(results.records["good"].samples) == 1


def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    good, last = Fake("good"), Fake("last", KeyboardInterrupt())
    results = plan.execute([plan.Step(good, 1), plan.Step(last, 1), plan.Step(good, 1)], READY, tmp_path, lambda _title: None)
    assert results.interrupted
    assert len(results.records["good"].samples) == 1


def test_a_tool_that_is_not_there_is_named_and_not_run(tmp_path: Path) -> None:
    without = Tools(Path("python"), {"otter-grader": "no network"})
    steps = plan.steps(plan.QUICK, without)
    assert "otter" not in {step.contestant.key for step in steps}
    assert plan.execute([], without, tmp_path, lambda _title: None).problems == ["otter run: not installed: no network"]


def test_the_fast_tools_take_turns() -> None:
    keys = [step.contestant.key for step in plan.steps(plan.Scale(), READY) if not step.rehearsal]
    turn = ["isolated-1", "isolated-1", "warm", "warm", "isolated-2", "isolated-2", "pytest"]
    assert keys[: 3 * len(turn)] == 3 * turn
