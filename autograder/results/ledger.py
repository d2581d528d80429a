"""The results folder: one immutable report per graded submission, and which of them counts.

    results/01_attention/<student>/<fingerprint>.json     a report
    results/01_attention/<student>/current                the fingerprint of the report that counts

The report that counts is not always the newest: when an older version is handed in again, its report is found and counts again.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

from autograder.course.late import parse_time
from autograder.course.names import check_name
from autograder.reports.model import Report, SchemaError, from_json, to_json
from autograder.results.atomic import LedgerError, remove_leftovers, write_atomically

__all__ = ["Ledger", "LedgerError"]

_MARKER = "current"
_ASSIGNMENT = re.compile(r"[0-9]{2}_[a-z][a-z0-9_]*")
_FINGERPRINT = re.compile(r"[0-9A-Za-z_-]{1,128}")


class Ledger:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._problems: dict[Path, str] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """What was found so far that cannot be read as a report; such a file is kept and counts as absent."""
        return tuple(self._problems.values())

    def path(self, assignment: str, student: str, fingerprint: str) -> Path:
        """Where a report lies. Raises SafeNameError for a name that would lead elsewhere."""
        if not _FINGERPRINT.fullmatch(fingerprint):
            raise ValueError(f"the fingerprint {fingerprint[:80]!r} is not of letters, digits, '_' and '-'")
        return self._student_folder(assignment, student) / f"{fingerprint}.json"

    def find(self, assignment: str, student: str, fingerprint: str) -> Report | None:
        return self._read(self.path(assignment, student, fingerprint), assignment, student)

    def write(self, report: Report) -> Path:
        """Keep a report. Raises LedgerError when it cannot be written, or holds fewer tests than the one with its fingerprint."""
        path = self.path(report.assignment, report.student, report.fingerprint)
        remove_leftovers(path.parent)
        before = self.find(report.assignment, report.student, report.fingerprint)
        if before is not None and len(before.tests) > len(report.tests):
            raise LedgerError(f"{path} holds {len(before.tests)} tests and is kept: the new report has only {len(report.tests)}; grade again")
        if before is None:
            _set_aside(path)
        # JSON's own escape keeps the lone surrogates by which Python shows a folder's name that is not UTF-8.
        write_atomically(path, to_json(report).encode("utf-8", "backslashreplace"))
        self._problems.pop(path, None)
        return path

    def mark_current(self, report: Report) -> None:
        """Let this report, which must have been written, be the one that counts."""
        path = self._student_folder(report.assignment, report.student) / _MARKER
        try:
            if path.read_text(encoding="ascii") == report.fingerprint + "\n":
                return
        except (OSError, ValueError):
            pass
        write_atomically(path, (report.fingerprint + "\n").encode("ascii"))
        self._problems.pop(path, None)

    def current(self, assignment: str, student: str) -> Report | None:
        """The report that counts; the newest one when none was marked, as after a run that was killed in between."""
        marker = self._student_folder(assignment, student) / _MARKER
        try:
            fingerprint = marker.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return max(self.history(assignment, student), key=lambda report: parse_time(report.graded_at), default=None)
        except (OSError, ValueError) as error:
            self._problems[marker] = f"{marker} cannot be read: {error}; grade {student} again"
            return None
        report = self.find(assignment, student, fingerprint) if _FINGERPRINT.fullmatch(fingerprint) else None
        if report is None:
            self._problems[marker] = f"{marker} names the report {fingerprint[:80]!r}, which cannot be read; grade {student} again"
        return report

    def all_current(self) -> list[Report]:
        """Every report that counts, by assignment and student."""
        found = (self.current(assignment, student) for assignment, student in self._students())
        return [report for report in found if report is not None]

    def history(self, assignment: str, student: str) -> list[Report]:
        """All reports of one student's assignment, the oldest first."""
        folder = self._student_folder(assignment, student)
        found = [self._read(path, assignment, student) for path in sorted(folder.glob("*.json")) if not path.name.startswith(".")]
        return sorted((report for report in found if report is not None), key=lambda report: parse_time(report.graded_at))

    def next_attempt(self, assignment: str, student: str, submission_sha256: str) -> int:
        """Which attempt these bytes are: 1 and up; bytes handed in before keep their number.

        For nothing that could be read ("") the number of the attempts so far, 0 when there was none.
        """
        earlier: dict[str, int] = {}
        for report in self.history(assignment, student):
            if report.submission_sha256:
                earlier.setdefault(report.submission_sha256, report.attempt)
        last = max([len(earlier), *earlier.values()])
        return earlier.get(submission_sha256, last + 1) if submission_sha256 else last

    def _student_folder(self, assignment: str, student: str) -> Path:
        return self.folder / check_name(assignment, "assignment") / check_name(student, "student")

    def _students(self) -> Iterator[tuple[str, str]]:
        for assignment in _folders(self.folder):
            if _ASSIGNMENT.fullmatch(assignment):
                for student in _folders(self.folder / assignment):
                    yield assignment, student

    def _read(self, path: Path, assignment: str, student: str) -> Report | None:
        try:
            report = from_json(path.read_bytes().decode("utf-8"))
            _check(report, path, assignment, student)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            self._problems[path] = f"{path} is not a report and is left alone: {error}; grade {student} again"
            return None
        return report


def _check(report: Report, path: Path, assignment: str, student: str) -> None:
    """What the reader of the schema does not check, and what would break everything derived from the report."""
    for field, value, expected in (
        ("assignment", report.assignment, assignment),
        ("student", report.student, student),
        ("fingerprint", report.fingerprint, path.stem),
    ):
        if value != expected:
            raise SchemaError(f"its {field} is {value!r}, but it lies where {expected!r} belongs")
    numbers = [report.score, report.max_score, *(number for test in report.tests for number in (test.points, test.max_points))]
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise SchemaError("one of its scores is not a number")
    if not isinstance(report.attempt, int):
        raise SchemaError(f"its attempt is {report.attempt!r}")
    for moment in (report.graded_at, report.submitted_at):
        if moment is not None:
            parse_time(moment)
    if not isinstance(report.graded_at, str):
        raise SchemaError("it does not say when it was graded")


def _set_aside(path: Path) -> None:
    """Keep what lies where a report is to be written and is none: it may come from a newer version of the grader."""
    if not os.path.lexists(path):
        return
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.stem}.unreadable-{number}")):
        number += 1
    try:
        os.rename(path, aside)
    except OSError as error:
        raise LedgerError(f"{path} is not a report and cannot be set aside: {error.strerror}; move it away") from error


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LedgerError(f"{folder} cannot be read: {error.strerror}") from error
