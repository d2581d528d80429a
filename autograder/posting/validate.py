"""Results that another machine made are data to be checked: what a job says is believed only as far as this course's own manifest goes.

A job that runs students' code may have been taken over by one of them. From its reports are kept: which tests passed, and words
that are cleaned. Titles, points, maxima and misconceptions are this course's own; whose and which submission it is must have been collected.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from autograder.course.course import Assignment, Course
from autograder.grading.suite import ExpectedTest
from autograder.misconceptions.bank import load_bank
from autograder.reports.model import Diagnosis, Outcome, Report, SchemaError, Status, TestResult, from_json
from autograder.reports.text import clean, one_line
from autograder.results.ledger import Ledger

_MAX_REPORT_BYTES = 1 << 20
_MAX_REPORTS = 100_000
_MAX_LINE = 1_000_000
_MAX_NOTES = 20

Manifest = tuple[ExpectedTest, ...]
# Of a submission that was collected: the sha256 of each of its files. KeyError when it was not.
DigestsOf = Callable[[str, str], set[str]]


class ResultError(ValueError):
    """A report that is refused, with the reason in one sentence."""


def read_incoming(folder: Path) -> Iterator[tuple[str, Report | ResultError]]:
    """Every report below a folder of results, with its path; what cannot be read comes as the reason why."""
    count = 0
    for parent, folders, names in os.walk(folder):  # does not follow links
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if not name.endswith(".json") or name.startswith("."):
                continue
            count += 1
            if count > _MAX_REPORTS:
                raise ResultError(f"{folder} holds more than {_MAX_REPORTS:,} reports")
            yield str(path.relative_to(folder)), _read(path)


def _read(path: Path) -> Report | ResultError:
    try:
        if path.is_symlink() or path.stat().st_size > _MAX_REPORT_BYTES:
            return ResultError("it is a link, or larger than a report can be")
        return from_json(path.read_bytes().decode("utf-8"))
    except (OSError, SchemaError, UnicodeDecodeError, RecursionError) as error:
        return ResultError(f"it is no report: {error}")


def validated(report: Report, course: Course, manifests: Mapping[str, Manifest], suites: Mapping[str, str], digests_of: DigestsOf) -> Report:
    """The report as far as it can be believed. Raises ResultError.

    manifests: the expected tests by the assignment's name. suites: the hash of each suite. digests_of: of what was collected.
    """
    assignment = _assignment(report, course)
    try:
        handed_in = digests_of(report.student, assignment.folder)
    except KeyError:
        raise ResultError(f"nothing of {assignment.folder} was collected from {one_line(str(report.student), 40)!r}") from None
    if report.suite_sha256 != suites[assignment.name]:
        raise ResultError("it was graded with another suite than this one")
    if report.submission_sha256 not in handed_in | {""}:
        raise ResultError("it is about another submission than the one that was collected")
    tests = _tests(report, manifests[assignment.name], assignment)
    if report.status is not Status.GRADED and any(test.outcome is not Outcome.NOT_RUN for test in tests):
        raise ResultError(f"its status is {report.status.value}, and yet tests ran")
    return replace(
        report,
        tests=tests,
        score=sum(test.points for test in tests),
        max_score=sum(test.max_points for test in tests),
        message=_words(report.message),
        flags=tuple(_words(flag) for flag in report.flags[:100]),
        notes=tuple(one_line(note, 400) for note in report.notes[:_MAX_NOTES] if isinstance(note, str)),
    )


def keep(report: Report, ledger: Ledger) -> Report:
    """Write a validated report to the ledger and let it count. Its attempt is counted here, where the earlier ones are."""
    known = ledger.find(report.assignment, report.student, report.fingerprint)
    if known is None:
        known = replace(report, attempt=ledger.next_attempt(report.assignment, report.student, report.submission_sha256))
        ledger.write(known)
    ledger.mark_current(known)
    return known


def _assignment(report: Report, course: Course) -> Assignment:
    for field, value in (("student", report.student), ("assignment", report.assignment), ("fingerprint", report.fingerprint)):
        if not isinstance(value, str):
            raise ResultError(f"its {field} is no text")
    found = next((entry for entry in course.assignments if entry.folder == report.assignment), None)
    if found is None:
        raise ResultError(f"{one_line(report.assignment, 40)!r} is no assignment of this course")
    return found


def _tests(report: Report, manifest: Manifest, assignment: Assignment) -> tuple[TestResult, ...]:
    """The manifest's tests with the report's outcomes: one that is missing, doubled or unknown makes the whole report void."""
    if [test.id for test in report.tests] != [expected.id for expected in manifest]:
        raise ResultError("its tests are not those of the suite")
    bank = {entry.name: entry.says for entry in load_bank(assignment.name)}
    return tuple(_test(test, expected, bank) for test, expected in zip(report.tests, manifest, strict=True))


def _test(test: TestResult, expected: ExpectedTest, bank: Mapping[str, str]) -> TestResult:
    named = test.misconception.name if test.misconception is not None and test.outcome is Outcome.FAILED else ""
    line = test.line if isinstance(test.line, int) and 0 < test.line < _MAX_LINE else None
    return TestResult(
        id=expected.id,
        title=expected.title,
        outcome=test.outcome,
        points=expected.points if test.outcome is Outcome.PASSED else 0.0,
        max_points=expected.points,
        message=_words(test.message),
        misconception=Diagnosis(named, bank[named]) if named in bank else None,
        line=line,
        place=one_line(test.place, 120) if isinstance(test.place, str) else "",
    )


def _words(text: object) -> str:
    return clean(text) if isinstance(text, str) else ""
