"""Put one known solution through everything that proves a suite: graded as a student's, and measured over several seeds."""

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
from autograder.reports.model import Report

_grader: Grader | None = None


@dataclass(frozen=True)
class Margins:
    """Errors of one test in units of their bounds. A comparison without a bound counts as 0 when equal and as infinite when not."""

    largest_passed: float = 0.0  # over comparisons that were within their bound
    smallest_failed: float = float("inf")  # over comparisons that were not
    tolerance: str = ""  # of the largest passed


@dataclass(frozen=True)
class Examination:
    """report: as a student would get it. failed: for each further seed the tests that did not pass. margins: by test, over all seeds."""

    solution: str
    report: Report
    failed: tuple[frozenset[str], ...]
    margins: Mapping[str, Margins]


def examine(solution: str, task: Task, seeds: tuple[str, ...]) -> Examination:
    """Grade `task` in its sandbox, then run the suite on it in this process once for each seed. Only for the course's own code."""
    global _grader
    if _grader is None:
        _grader = Grader()
    report = _grader.grade(task)
    suite = _grader.suite(task.name)
    module = LocalSubmission(_module(task.name, task.reading.text))
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
    return Examination(solution, report, tuple(failed), margins)


def _widened(margins: Margins, comparisons: list[Comparison]) -> Margins:
    largest, smallest, tolerance = margins.largest_passed, margins.smallest_failed, margins.tolerance
    for comparison in comparisons:
        ratio = comparison.error / comparison.bound if comparison.bound > 0 else (float("inf") if comparison.error > 0 else 0.0)
        if ratio > 1:
            smallest = min(smallest, ratio)
        elif ratio >= largest:
            largest, tolerance = ratio, comparison.tolerance
    return Margins(largest, smallest, tolerance)


def _module(name: str, source: str) -> types.ModuleType:
    module = types.ModuleType(f"{name}_under_examination")
    sys.modules[module.__name__] = module
    exec(compile(source, f"{name}.py", "exec", dont_inherit=True), module.__dict__)
    return module
