"""Feedback for a student: one page for each assignment, in Markdown and HTML, and an index over all of them.

A page is made from a `FeedbackView`, which has no place for what a student must not see: the seed, the flags, the
sandbox, the hashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import Assignment, Course
from autograder.reports import text
from autograder.reports.files import folder_of, write_whole
from autograder.reports.model import Outcome, Status, TestResult
from autograder.reports.pages import MarkdownText, href, render_html, render_markdown
from autograder.reports.summary import so_far
from autograder.reports.words import STATUS_WORDS, counted, lateness, number, sentence
from autograder.results.standings import Standing, course_totals

_OUTCOME_WORDS = {Outcome.PASSED: "passed", Outcome.FAILED: "failed", Outcome.NOT_RUN: "not run"}


@dataclass(frozen=True)
class TestView:
    __test__ = False

    place: int  # from 1
    title: str
    outcome: Outcome
    points: str  # "2 / 2"
    max_points: float
    message: str
    misconception: str
    where: str  # "line 42 of attention.py"
    code: str  # that line

    @property
    def outcome_words(self) -> str:
        return _OUTCOME_WORDS[self.outcome]

    @property
    def code_block(self) -> MarkdownText:
        return MarkdownText(text.markdown_code(self.code))


@dataclass(frozen=True)
class FeedbackView:
    """All that a student's page says, in words."""

    student: str
    title: str  # of the assignment
    score: str
    max_score: str
    lateness: str
    attempt: int
    submitted_at: str
    status: Status
    status_words: str
    message: str  # about the whole submission
    advice: str  # when the tests could not run
    summary: str  # "9 of 12 tests passed"
    tests: tuple[TestView, ...]
    notes: tuple[str, ...]  # how the notebook was read

    @property
    def failed(self) -> tuple[TestView, ...]:
        return tuple(test for test in self.tests if test.outcome is Outcome.FAILED)

    @property
    def not_run(self) -> tuple[TestView, ...]:
        return tuple(test for test in self.tests if test.outcome is Outcome.NOT_RUN)

    @property
    def ran(self) -> bool:
        return self.status is Status.GRADED


def view(standing: Standing, assignment: Assignment, source: str | None = None) -> FeedbackView:
    """`source`: the submission's text, to quote the line that a failed test points at."""
    report = standing.report
    file_name = f"{assignment.name}.py"
    advice = {
        Status.GRADED: "",
        Status.MISSING: f"Hand in {assignment.folder}/{file_name} (or {assignment.name}.ipynb).",
        Status.UNREADABLE: f"Hand in a plain text file {assignment.folder}/{file_name}, saved as UTF-8.",
        Status.BROKEN: f"First make sure that `python {file_name}` runs without an error, then hand in again.",
    }[report.status]
    if report.message.startswith(f"{assignment.name}.ipynb"):
        advice = "Open the notebook in Jupyter, see that Restart & Run All works, save it, and hand it in again."
    return FeedbackView(
        student=text.name(report.student),
        title=text.name(assignment.title, 120),
        score=number(standing.final_score),
        max_score=number(report.max_score),
        lateness=lateness(standing),
        attempt=report.attempt,
        submitted_at=_moment(report.submitted_at),
        status=report.status,
        status_words=STATUS_WORDS[report.status],
        message=text.without_folders(text.clean(report.message)),
        advice=advice,
        summary=_summary(report.tests),
        tests=tuple(_test_view(place, test, file_name, source) for place, test in enumerate(report.tests, 1)),
        notes=tuple(text.one_line(note, 400) for note in report.notes),
    )


def _test_view(place: int, test: TestResult, file_name: str, source: str | None) -> TestView:
    message = test.message
    if test.outcome is Outcome.NOT_RUN and not message.strip():
        message = "It builds on a test that did not pass."
    return TestView(
        place=place,
        title=text.one_line(test.title) or text.one_line(test.id),
        outcome=test.outcome,
        points=f"{number(test.points)} / {number(test.max_points)}",
        max_points=test.max_points,
        message=sentence(text.without_folders(text.clean(message))),
        misconception=text.clean(test.misconception.says) if test.misconception else "",
        where=text.one_line(test.place) or (f"line {test.line} of {file_name}" if test.line is not None else ""),
        code=(text.source_line(source, test.line) or "") if source is not None and test.line is not None else "",
    )


def _summary(tests: Sequence[TestResult]) -> str:
    passed = sum(test.outcome is Outcome.PASSED for test in tests)
    waiting = sum(test.outcome is Outcome.NOT_RUN for test in tests)
    if tests and passed == len(tests):
        return f"All {counted(len(tests), 'test')} passed."
    words = f"{passed} of {counted(len(tests), 'test')} passed"
    return words + (f", {waiting} could not run yet." if waiting else ".")


def _moment(iso: str | None) -> str:
    return text.one_line(iso or "", 32).replace("T", " ").removesuffix("+00:00").removesuffix("Z") + " UTC" if iso else ""


def feedback_html(standing: Standing, assignment: Assignment, source: str | None = None) -> str:
    return render_html("feedback.html", view=view(standing, assignment, source))


def feedback_markdown(standing: Standing, assignment: Assignment, source: str | None = None) -> str:
    return render_markdown("feedback.md", view=view(standing, assignment, source))


@dataclass(frozen=True)
class IndexRow:
    view: FeedbackView
    link: str


def student_index_html(student: str, course: Course, standings: Sequence[Standing]) -> str:
    """A student's assignments in the course's order with the totals, linking to the pages beside it."""
    own = _by_assignment(student, course, standings)
    course = so_far(course, own.values())
    return render_html(
        "student_index.html",
        student=text.name(student),
        course_title=course.title,
        rows=[IndexRow(view(own[entry.folder], entry), href(f"{entry.folder}.html")) for entry in course.assignments],
        score=sum(standing.final_score for standing in own.values()),
        max_score=sum(standing.report.max_score for standing in own.values()),
        percent=next((total.percent for total in course_totals(own.values(), course)), 0.0),
        weighted=len({entry.weight for entry in course.assignments}) > 1,
    )


def _by_assignment(student: str, course: Course, standings: Sequence[Standing]) -> dict[str, Standing]:
    own = {standing.report.assignment: standing for standing in standings if standing.report.student == student}
    return {entry.folder: own[entry.folder] for entry in course.assignments if entry.folder in own}


def feedback_file(student: str, folder: str) -> tuple[str, ...]:
    """Where, below the results folder, the HTML page of one submission lies."""
    return ("feedback", student, f"{folder}.html")


def write_feedback(results: Path, course: Course, student: str, standings: Sequence[Standing], sources: Mapping[str, str] | None = None) -> Path:
    """Write a student's pages to `results/feedback/<student>/` and return the path of the index.

    `sources` maps an assignment's folder to the text that was graded. Raises ReportError.
    """
    home = results / "feedback" / folder_of(student)
    for folder, standing in _by_assignment(student, course, standings).items():
        assignment, source = course.find(folder), (sources or {}).get(folder)
        write_whole(home / f"{folder}.md", feedback_markdown(standing, assignment, source))
        write_whole(home / f"{folder}.html", feedback_html(standing, assignment, source))
    index = home / "index.html"
    write_whole(index, student_index_html(student, course, standings))
    return index
