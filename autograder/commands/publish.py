"""Derive everything that people read from the ledger: grades.csv, feedback, the class report, the gradebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from autograder.course.course import Course, CourseError
from autograder.course.roster import Roster
from autograder.grading.paths import REPOSITORY, given_stub
from autograder.reports.class_report import write_class_report
from autograder.reports.feedback import write_feedback
from autograder.reports.files import ReportError
from autograder.reports.model import Status
from autograder.results.grades_csv import write_grades
from autograder.results.ledger import Ledger, LedgerError
from autograder.results.standings import Standing, standings
from autograder.submissions.read import read_submission

Step = Callable[[str], None]

COURSE_FOLDER = "nbgrader_course"  # beside course.toml


@dataclass
class Published:
    """What was written, and what could not be: each problem is one sentence that says what to do."""

    standings: list[Standing]
    files: list[Path] = field(default_factory=list)
    gradebook: str | None = None
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def publish(
    course: Course,
    ledger: Ledger,
    roster: Roster | None,
    gradebook: str | None,
    submissions: Path | None,
    step: Step,
    course_folder: Path | None = None,
) -> Published:
    """Write all of it. One part that fails leaves the others, and what was written before, as they are.

    gradebook: an SQLAlchemy URL, or None for no gradebook. submissions: where the graded files lie, for a student's own lines and for
    the answers that a person grades. course_folder: nbgrader's, to be kept in step with the gradebook.
    """
    reports = ledger.all_current()
    published = Published([])
    granted: dict[tuple[str, str], timedelta] = {}
    if gradebook is not None:
        from autograder.gradebook.database import GradebookError
        from autograder.gradebook.write import read_extensions

        step("gradebook")
        try:
            granted = read_extensions(gradebook, course)
            published.standings = standings(reports, course, roster, granted)
            published.warnings += update_gradebook(gradebook, course, published.standings, roster, submissions, course_folder)
            published.gradebook = gradebook
        except (GradebookError, CourseError, LedgerError) as error:
            published.problems.append(str(error))
    published.standings = standings(reports, course, roster, granted)
    writers: tuple[tuple[str, Callable[[], list[Path]]], ...] = (
        ("grades.csv", lambda: [write_grades(published.standings, ledger)]),
        ("feedback", lambda: _write_feedback(course, ledger, published.standings, submissions)),
        ("class report", lambda: [write_class_report(ledger.folder, course, published.standings)]),
    )
    for name, write in writers:
        step(name)
        try:
            published.files += write()
        except (LedgerError, ReportError) as error:
            published.problems.append(str(error))
    published.warnings += ledger.problems
    return published


def prepared_folder(course_path: Path) -> Path | None:
    """nbgrader's course folder beside course.toml, once `autograder formgrader` has made it."""
    folder = course_path.parent / COURSE_FOLDER
    return folder if (folder / "nbgrader_config.py").is_file() else None


def update_gradebook(
    url: str, course: Course, found: list[Standing], roster: Roster | None, submissions: Path | None, course_folder: Path | None
) -> tuple[str, ...]:
    """Bring the gradebook and nbgrader's course folder up to date. Returns warnings. Raises GradebookError, CourseError, LedgerError."""
    from autograder.gradebook.by_hand import read_hand_graded
    from autograder.gradebook.write import write_gradebook
    from autograder.nbgrader_course.folder import write_course_folder

    if submissions is None and course_folder is not None:
        submissions = course_folder / "submitted"
    by_hand = read_hand_graded(REPOSITORY, course, found, submissions)
    update = write_gradebook(url, course, found, roster, by_hand)
    if course_folder is not None and submissions is not None:
        write_course_folder(course_folder, course, found, by_hand, submissions)
    return update.warnings


def _write_feedback(course: Course, ledger: Ledger, found: list[Standing], submissions: Path | None) -> list[Path]:
    by_student: dict[str, list[Standing]] = {}
    for standing in found:
        by_student.setdefault(standing.report.student, []).append(standing)
    for student, entries in by_student.items():
        write_feedback(ledger.folder, course, student, entries, _graded_texts(course, entries, submissions))
    return [ledger.folder / "feedback"]


def _graded_texts(course: Course, entries: list[Standing], submissions: Path | None) -> dict[str, str]:
    """The text of each submission that a line is quoted from, if it still is the one that was graded."""
    texts = {}
    for entry in entries:
        report = entry.report
        if submissions is None or report.status not in (Status.GRADED, Status.BROKEN) or all(test.line is None for test in report.tests):
            continue
        assignment = course.find(report.assignment)
        reading = read_submission(
            submissions / report.student / report.assignment,
            assignment.name,
            course.limits.source_bytes,
            given_stub(report.assignment),
            course.limits.notebook_bytes,
        )
        if reading.sha256 == report.submission_sha256:
            texts[report.assignment] = reading.text
    return texts
