"""The order of the measurements: tools take turns, so that a busy minute of the machine does not fall on one of them alone."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.bench.contestants import Contestant, Isolated, Otter, PytestEach, Warm
from autograder.bench.figures import Record
from autograder.bench.nbgrader_course import Nbgrader
from autograder.bench.other_tools import NBGRADER, OTTER, Tools, environment
from autograder.bench.population import MIX, make_class, write_class
from autograder.bench.process_tree import CommandError, run_measured
from autograder.grading.paths import REPOSITORY


@dataclass(frozen=True)
class Scale:
    """How much to measure. each: a class that every tool grades in full; few: what slow tools grade; scaling: larger classes for this grader."""

    repetitions: int = 3
    each: int = MIX
    many: int = 5 * MIX
    few: int = 5
    scaling: tuple[int, ...] = (20 * MIX,)


FULL = Scale(few=MIX, scaling=(20 * MIX, 50 * MIX))
QUICK = Scale(repetitions=1, few=2, many=2 * MIX, scaling=())


@dataclass(frozen=True)
class Step:
    """One run of one tool over `size` submissions. rehearsal: only to warm caches."""

    contestant: Contestant
    size: int
    rehearsal: bool = False

    @property
    def title(self) -> str:
        return f"{self.contestant.title}: {'warming up' if self.rehearsal else f'{self.size} submissions'}"


@dataclass
class Results:
    """All that was measured so far."""

    records: dict[str, Record] = field(default_factory=dict)
    breakdown: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list)
    interrupted: bool = False


def steps(scale: Scale, tools: Tools) -> list[Step]:
    one, two, warm, each = Isolated(1), Isolated(2), Warm(), PytestEach()
    slow: list[Contestant] = []
    if NBGRADER not in tools.missing:
        slow.append(Nbgrader(tools.python))
    if OTTER not in tools.missing:
        slow.append(Otter(tools.python))
    plan = [Step(contestant, 1, rehearsal=True) for contestant in (one, warm, each, *slow)]
    for repetition in range(scale.repetitions):
        plan += [Step(contestant, size) for contestant in (one, warm, two) for size in (scale.each, scale.many)]
        plan.append(Step(each, scale.each if repetition == 0 else scale.few))
    for contestant in slow:
        plan += [Step(contestant, 1), Step(contestant, scale.few)]
    return plan + [Step(two, size) for size in scale.scaling]


def execute(plan: Sequence[Step], tools: Tools, folder: Path, telling: Callable[[str], None]) -> Results:
    """Run the plan. A tool that fails is left out from then on; Ctrl-C keeps what is there."""
    results = Results({step.contestant.key: Record(step.contestant.key, step.contestant.title) for step in plan})
    for key, package in ((Nbgrader, NBGRADER), (Otter, OTTER)):
        if package in tools.missing:
            results.records[key.key] = Record(key.key, key.title, problem=f"not installed: {tools.missing[package]}")
            results.problems.append(f"{key.title}: {results.records[key.key].problem}")
    try:
        for number, step in enumerate(plan):
            record = results.records[step.contestant.key]
            telling(step.title)
            if not record.problem:
                _measure(step, record, results, folder / f"{number:02}")
        telling("where the time of one grading goes")
        _break_down(results, folder / "breakdown")
    except KeyboardInterrupt:
        results.interrupted = True
    return results


def _measure(step: Step, record: Record, results: Results, folder: Path) -> None:
    folder.mkdir(parents=True)
    try:
        sample = step.contestant.grade(make_class(step.size), folder)
    except (CommandError, OSError, ValueError, KeyError) as error:
        record.problem = str(error) if isinstance(error, CommandError) else f"{type(error).__name__}: {error}"
        results.problems.append(f"{record.title}: {record.problem}")
        return
    if not step.rehearsal:
        record.samples.append(sample)
    shutil.rmtree(folder, ignore_errors=True)


def _break_down(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True)
    submissions, measured = write_class(make_class(MIX), folder / "submissions"), folder / "breakdown.json"
    command = [sys.executable, "-m", "autograder.bench.breakdown", submissions, folder / "results", measured]
    try:
        run_measured([str(part) for part in command], environment(), REPOSITORY, folder / "breakdown.log")
    except CommandError as error:
        results.problems.append(f"no breakdown: {error}")
        return
    results.breakdown = json.loads(measured.read_text(encoding="utf-8"))
