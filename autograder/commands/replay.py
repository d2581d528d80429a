"""`autograder replay`: grade one submission again on exactly the inputs that a report was made with, and compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from autograder.course.course import Course, load_course
from autograder.grading.paths import given_stub
from autograder.grading.task import SandboxMode, Task
from autograder.reports.model import Report, SchemaError, from_json
from autograder.reports.text import one_line
from autograder.submissions.read import Reading, read_submission


class ReplayError(Exception):
    """A report cannot be replayed: it cannot be read, or the submission is not the one that was graded."""


@dataclass(frozen=True)
class Replayed:
    before: Report
    after: Report

    @property
    def same(self) -> bool:
        """Whether every test came out as it did then."""
        return [(test.id, test.outcome) for test in self.before.tests] == [(test.id, test.outcome) for test in self.after.tests]


def replay(report_path: Path, submissions: Path, course_path: Path, sandbox: SandboxMode, console: Console) -> int:
    """Exit code: 0 when each test comes out as in the report, 1 when one does not. Nothing is written."""
    course = load_course(course_path)
    before = _read_report(report_path)
    reading = _read_submission(before, submissions, course)
    from autograder.grading.grade import Grader

    task = Task(before.student, before.assignment, reading, before.fingerprint, before.seed, before.attempt, course.limits, sandbox)
    with Grader() as grader:
        replayed = Replayed(before, grader.grade(task))
    console.print(_table(replayed))
    if before.suite_sha256 != replayed.after.suite_sha256:
        console.print("note: the hidden suite has changed since this report", markup=False)
    console.print("as in the report" if replayed.same else "not as in the report", style="green" if replayed.same else "bold red")
    return 0 if replayed.same else 1


def _read_report(path: Path) -> Report:
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ReplayError(f"{path} cannot be read: {error}; give the path of a report, as in the last column of grades.csv") from None
    except SchemaError as error:
        raise ReplayError(f"{path} is not a report: {error}") from None


def _read_submission(report: Report, submissions: Path, course: Course) -> Reading:
    assignment = course.find(report.assignment)
    folder = submissions / report.student / report.assignment
    reading = read_submission(folder, assignment.name, course.limits.source_bytes, given_stub(report.assignment), course.limits.notebook_bytes)
    if reading.sha256 != report.submission_sha256:
        raise ReplayError(f"{folder} does not hold what this report is about any more: the file's hash is another")
    return reading


def _table(replayed: Replayed) -> Table:
    table = Table(title=f"{one_line(replayed.before.student)}, {replayed.before.assignment}, seed {replayed.before.seed}", box=None)
    for heading in ("test", "in the report", "now", "says"):
        table.add_column(heading, overflow="fold")
    after = {test.id: test for test in replayed.after.tests}
    for test in replayed.before.tests:
        now = after.get(test.id)
        message = one_line(now.message, 300) if now else ""
        table.add_row(test.id, test.outcome.value, now.outcome.value if now else "gone", message.replace("[", "\\["))
    return table
