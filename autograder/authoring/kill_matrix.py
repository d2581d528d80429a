"""The kill matrix of an assignment as a page: which test fails which misconception, and what its student reads."""

from __future__ import annotations

from collections.abc import Mapping

from autograder.course.course import Assignment
from autograder.misconceptions.bank import Misconception
from autograder.reports.model import Outcome, Report

_MARKS = {Outcome.FAILED: "✗", Outcome.NOT_RUN: "–", Outcome.PASSED: ""}


def kill_matrix_markdown(assignment: Assignment, bank: tuple[Misconception, ...], reference: Report, wrong: Mapping[str, Report]) -> str:
    """Markdown; the same suite gives the same bytes."""
    lines = [
        f"# Kill matrix: {assignment.folder}",
        "",
        "Made by `make verify`. Each row is a known mistake, each numbered column a hidden test: ✗ the test fails, – it is not run because one",
        "that it builds on failed. A suite is sound only if every row has a ✗ and every mistake is recognised as itself.",
        "",
        "| mistake | " + " | ".join(str(number) for number in range(1, len(reference.tests) + 1)) + " | points left | named |",
        "|---|" + "---|" * len(reference.tests) + "---|---|",
    ]
    for entry in bank:
        report = wrong[entry.name]
        named = {test.misconception.name for test in report.tests if test.misconception is not None}
        marks = " | ".join(_MARKS[test.outcome] for test in report.tests)
        lines.append(f"| {entry.name} | {marks} | {report.score:g} of {report.max_score:g} | {'yes' if named == {entry.name} else 'no'} |")
    lines += ["", "## The tests", ""]
    lines += [f"{number}. {test.title} ({test.max_points:g})" for number, test in enumerate(reference.tests, 1)]
    lines += ["", "## What a student reads", ""]
    lines += [f"- **{entry.name}**: {entry.says}" for entry in bank]
    return "\n".join(lines) + "\n"
