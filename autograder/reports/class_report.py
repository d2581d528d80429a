"""The instructor's page on a whole class: results/class_report.html, one file with everything in it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from autograder.course.course import Course
from autograder.reports import plots, text
from autograder.reports.feedback import feedback_file
from autograder.reports.files import write_whole
from autograder.reports.model import Outcome, Status
from autograder.reports.pages import href, render_html
from autograder.reports.summary import AssignmentSummary, ClassSummary, TestSummary, summarise
from autograder.reports.words import STATUS_WORDS, counted, lateness, number
from autograder.results.standings import Standing

FILE_NAME = "class_report.html"
_NOT_RUN = (Status.BROKEN, Status.UNREADABLE, Status.MISSING)


@dataclass(frozen=True)
class Tile:
    value: str
    label: str
    alert: bool = False


@dataclass(frozen=True)
class Cell:
    """One score in the course table."""

    score: str
    note: str  # what the score alone does not say: late, not handed in
    level: str  # the look: full, none, low or ""
    link: str


@dataclass(frozen=True)
class Row:
    student: str
    cells: tuple[Cell | None, ...]
    percent: str


@dataclass(frozen=True)
class Mention:
    """A submission that someone should look at, and why."""

    student: str
    link: str
    status: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """One assignment's part of the page."""

    anchor: str
    title: str
    max_score: float
    weight: float
    facts: str
    distribution: Markup | None
    heat_map: Markup | None
    left_out: str
    tests: tuple[TestSummary, ...]
    misconceptions: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]  # sentence, students, tests
    flagged: tuple[Mention, ...]
    not_run: tuple[Mention, ...]


def class_report_html(course: Course, standings: Sequence[Standing]) -> str:
    """The page, from the standings alone; scores link to the feedback pages beside it."""
    summary = summarise(course, standings)
    return render_html(
        "class_report.html",
        inline_styles=True,
        course_title=course.title,
        graded_at=max((standing.report.graded_at for standing in summary.standings), default=""),
        tiles=_tiles(summary),
        warnings=_warnings(summary.standings),
        sections=[_section(entry) for entry in summary.assignments],
        course_distribution=_course_distribution(summary),
        comparison=_comparison(summary),
        rows=[_row(summary, place) for place in range(len(summary.rows))],
        columns=summary.assignments,
        means=[number(entry.mean) if entry.mean is not None else "–" for entry in summary.assignments],
        mean_percent=_percent(statistics.fmean(row.percent for row in summary.rows)) if summary.rows else "–",
        provenance=_provenance(summary.standings),
        Outcome=Outcome,
    )


def write_class_report(results: Path, course: Course, standings: Sequence[Standing]) -> Path:
    """Write `results/class_report.html` and return its path. Raises ReportError."""
    path = results / FILE_NAME
    write_whole(path, class_report_html(course, standings))
    return path


def _percent(value: float) -> str:
    return f"{value:.1f} %"


def _tiles(summary: ClassSummary) -> list[Tile]:
    standings = summary.standings
    statuses = Counter(standing.report.status for standing in standings)
    percents = [row.percent for row in summary.rows]
    flagged = sum(bool(standing.report.flags) for standing in standings)
    return [
        Tile(str(len(summary.rows)), "students"),
        Tile(str(len(standings) - statuses[Status.MISSING]), "submissions"),
        Tile(_percent(statistics.fmean(percents)) if percents else "–", "mean of the course"),
        Tile(_percent(statistics.median(percents)) if percents else "–", "median of the course"),
        Tile(str(sum(standing.seconds_late > 0 for standing in standings)), "late"),
        Tile(str(statuses[Status.MISSING]), "not handed in"),
        Tile(str(statuses[Status.BROKEN] + statuses[Status.UNREADABLE]), "could not be run"),
        Tile(str(flagged), "flagged for review", alert=flagged > 0),
    ]


def _warnings(standings: Sequence[Standing]) -> list[str]:
    """What makes the grades themselves doubtful: submissions graded with less isolation than there is."""
    read = [standing.report for standing in standings if standing.report.status in (Status.GRADED, Status.BROKEN)]
    off = sum(report.sandbox.mode == "off" for report in read)
    missing = Counter(layer for report in read if report.sandbox.mode != "off" for layer in report.sandbox.missing)
    found = [f"{counted(off, 'submission')} graded with isolation switched off: such code could have read the tests or changed files."] if off else []
    return found + [f"{counted(count, 'submission')} graded without the isolation layer “{layer}”." for layer, count in sorted(missing.items())]


def _section(entry: AssignmentSummary) -> Section:
    left_out = Counter(standing.report.status for standing in entry.with_status(*_NOT_RUN))
    title = text.name(entry.assignment.title, 120)
    students = [standing.report.student for standing in entry.ran]
    return Section(
        anchor=entry.assignment.folder,
        title=title,
        max_score=entry.max_score,
        weight=entry.assignment.weight,
        facts=_facts(entry),
        distribution=plots.score_distribution(entry.scores, entry.max_score, name=f"Distribution of scores in {title}") if entry.scores else None,
        heat_map=plots.tests_and_students(entry.tests, students, name=f"{title}: which student failed which test")
        if entry.tests and students
        else None,
        left_out=", ".join(f"{count} {STATUS_WORDS[status]}" for status, count in left_out.items()),
        tests=entry.tests,
        misconceptions=tuple((found.says, tuple(map(text.name, found.students)), found.tests) for found in entry.misconceptions),
        flagged=tuple(_mention(standing, standing.report.flags) for standing in entry.standings if standing.report.flags),
        not_run=tuple(_mention(standing, (standing.report.message,)) for standing in entry.with_status(*_NOT_RUN)),
    )


def _facts(entry: AssignmentSummary) -> str:
    words = [f"{len(entry.submitted)} of {counted(len(entry.standings), 'student')} handed in"]
    if entry.mean is not None and entry.median is not None:
        words.append(f"mean {number(entry.mean)}, median {number(entry.median)} of {counted(entry.max_score, 'point')}")
    full = sum(score >= entry.max_score for score in entry.scores)
    return "; ".join([*words, f"{full} with full marks"])


def _mention(standing: Standing, reasons: Sequence[str]) -> Mention:
    report = standing.report
    kept = tuple(text.clean(reason, 600) for reason in reasons if reason)
    return Mention(text.name(report.student), _link(standing), STATUS_WORDS[report.status], kept)


def _link(standing: Standing) -> str:
    return href(*feedback_file(standing.report.student, standing.report.assignment))


def _course_distribution(summary: ClassSummary) -> Markup | None:
    if len(summary.assignments) < 2 or not summary.rows:
        return None
    return plots.score_distribution(
        [row.percent for row in summary.rows], 100, unit="percent of the course so far", name="Distribution of course totals"
    )


def _comparison(summary: ClassSummary) -> Markup | None:
    if len(summary.assignments) < 2:
        return None
    percents = [[100 * score / entry.max_score for score in entry.scores] for entry in summary.assignments]
    return plots.assignments_compared([entry.assignment.title for entry in summary.assignments], percents, name="Scores of each assignment compared")


def _row(summary: ClassSummary, place: int) -> Row:
    row = summary.rows[place]
    return Row(text.name(row.student), tuple(_cell(standing) if standing else None for standing in row.cells), _percent(row.percent))


def _cell(standing: Standing) -> Cell:
    report = standing.report
    notes = [] if report.status is Status.GRADED else [STATUS_WORDS[report.status]]
    notes += ["late: −" + number(min(standing.late_penalty, report.score))] if lateness(standing) and report.score > 0 else []
    notes += ["flagged"] if report.flags else []
    share = standing.final_score / report.max_score if report.max_score > 0 else 0.0
    level = "none" if report.status is not Status.GRADED else "full" if share >= 0.9 else "low" if share < 0.5 else ""
    return Cell("–" if report.status is Status.MISSING else number(standing.final_score), ", ".join(notes), level, _link(standing))


def _provenance(standings: Sequence[Standing]) -> str:
    graded = [standing.report for standing in standings if standing.report.status in (Status.GRADED, Status.BROKEN)]
    isolation = Counter(f"{report.sandbox.mode}: {report.sandbox.label}" for report in graded)
    torch = ", ".join(sorted({report.torch_version for report in graded}))
    return f"torch {torch}; isolation {', '.join(f'{label} ({count})' for label, count in sorted(isolation.items()))}" if graded else ""
