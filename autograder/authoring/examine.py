"""Put one known solution through everything that proves a suite: measured over several seeds, and graded as a student's."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass

from autograder.checking.assertions import Comparison, listen_to_comparisons
from autograder.checking.submission import LocalSubmission
from autograder.grading.grade import Grader
from autograder.grading.seeds import seed_for_test
from autograder.grading.task import Task
from autograder.hidden_tests.rules import rules_of
from autograder.misconceptions.bank import load_kills
from autograder.reports.model import Report, TestResult
from autograder.worker.analysis import analyse

_grader: Grader | None = None


@dataclass(frozen=True)
class Margins:
    """Errors of one test in units of their bounds. A comparison without a bound counts as 0 when equal and as infinite when not."""

    largest_passed: float = 0.0  # over comparisons that were within their bound
    smallest_failed: float = float("inf")  # over comparisons that were not
    tolerance: str = ""  # of the largest passed


@dataclass(frozen=True)
class Measured:
    """failed: for each seed the tests that did not pass. margins: by test, over all seeds."""

    failed: tuple[frozenset[str], ...]
    margins: Mapping[str, Margins]


@dataclass(frozen=True)
class Examination(Measured):
    """report: as a student would get it."""

    report: Report


def grade(task: Task) -> Report:
    """Grade `task` in its sandbox."""
    return _warm_grader().grade(task)


def rehearse(task: Task, mistake: str) -> list[TestResult] | None:
    """What a grading would say of a known mistake, as far as the first test that names it. Only for the course's own code.

    Tests that it is not known to fail are left out, and so are costly ones; of the others those first that fewest mistakes fail, which
    name it soonest. None when that does not tell: it fails nothing so, it does what its assignment forbids, which a worker notices,
    or no test names it rightly alone.
    """
    if analyse(task.reading.text, f"{task.name}.py", rules_of(task.name).in_source)["tainted"]:
        return None
    grader, kills = _warm_grader(), load_kills(task.name)
    module = load_solution(task.name, task.reading.text)
    known = [test for test in grader.suite(task.name).manifest if test.id in kills.get(mistake, ()) and not test.costly]
    for test in sorted(known, key=lambda test: sum(test.id in failed for failed in kills.values())):
        tests = grader.run_suite(task, module, [], only=(test.id,))
        if {found.misconception.name for found in tests if found.misconception is not None} == {mistake}:
            return tests
    return None


def measure(task: Task, seeds: tuple[str, ...]) -> Measured:
    """Run the suite on `task` in this process once for each seed, costly tests left out. Only for the course's own code."""
    suite = _warm_grader().suite(task.name)
    module = load_solution(task.name, task.reading.text)
    failed = []
    margins: dict[str, Margins] = {}
    for seed in seeds:
        missed = set()
        comparisons: list[Comparison] = []
        with listen_to_comparisons(comparisons.append):
            for test, finished in suite.run(module, lambda test_id, seed=seed: seed_for_test(seed, test_id), costly=False):  # type: ignore[misc]
                if finished is None or finished.raised is not None:
                    missed.add(test.id)
                margins[test.id] = _widened(margins.get(test.id, Margins()), comparisons)
                comparisons.clear()
        failed.append(frozenset(missed))
    return Measured(tuple(failed), margins)


def _warm_grader() -> Grader:
    global _grader
    if _grader is None:
        _grader = Grader()
    return _grader


def _widened(margins: Margins, comparisons: list[Comparison]) -> Margins:
    largest, smallest, tolerance = margins.largest_passed, margins.smallest_failed, margins.tolerance
    for comparison in comparisons:
        ratio = comparison.error / comparison.bound if comparison.bound > 0 else (float("inf") if comparison.error > 0 else 0.0)
        if ratio > 1:
            smallest = min(smallest, ratio)
        elif ratio >= largest:
            largest, tolerance = ratio, comparison.tolerance
    return Margins(largest, smallest, tolerance)


def load_solution(name: str, source: str) -> LocalSubmission:
    """`source` as a submission in this process. Only for the course's own code."""
    module = types.ModuleType(f"{name}_under_examination")
    sys.modules[module.__name__] = module
    exec(compile(source, f"{name}.py", "exec", dont_inherit=True), module.__dict__)
    return LocalSubmission(module)
