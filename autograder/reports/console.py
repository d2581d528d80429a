"""The table of scores that a run ends with: students × assignments, as wide as the terminal allows."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from autograder.course.course import Course
from autograder.reports import text
from autograder.reports.model import Status
from autograder.reports.summary import AssignmentSummary, ClassSummary, summarise
from autograder.reports.words import STATUS_WORDS, counted, number
from autograder.results.standings import Standing

_STATUS_MARK = {Status.GRADED: "", Status.MISSING: "-", Status.UNREADABLE: "?", Status.BROKEN: "!"}
_LATE, _FLAGGED, _NOT_GRADED = "*", "^", "."
_STUDENT_WIDTH, _COURSE_WIDTH, _NARROW, _WIDE = 16, 7, 7, 17  # columns with their padding


@dataclass(frozen=True)
class RunCounts:
    """What a run did."""

    graded: int
    unchanged: int
    wall_seconds: float | None = None


@dataclass(frozen=True)
class GradesTable:
    """A rich renderable: the table, split where it is too wide, the legend and one line about the run."""

    summary: ClassSummary
    counts: RunCounts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        columns = len(self.summary.assignments)
        room = max(options.max_width - _STUDENT_WIDTH - _COURSE_WIDTH - 2, _NARROW)
        wide = columns * _WIDE <= room
        blocks = 1 if wide else math.ceil(columns / max(room // _NARROW, 1))
        at_once = math.ceil(columns / blocks)
        for block in range(blocks if columns else 0):
            part = range(block * at_once, min((block + 1) * at_once, columns))
            yield self._table(part, wide, last=block == blocks - 1)
        if columns:
            yield self._legend(wide)
        yield self._run_line()

    def _table(self, columns: range, wide: bool, last: bool) -> Table:
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("student", no_wrap=True, overflow="ellipsis", max_width=30 if wide else _STUDENT_WIDTH - 1, min_width=7)
        headings = [_heading(self.summary.assignments[column], wide) for column in columns]
        for heading in headings:
            table.add_column(heading, justify="right", no_wrap=True)
        if last:
            table.add_column("course", justify="right", no_wrap=True)
        cells = [
            _aligned(heading, [*(_cell(row.cells[column], wide) for row in self.summary.rows), self._mean(column)])
            for heading, column in zip(headings, columns, strict=True)
        ]
        for place, row in enumerate(self.summary.rows):
            table.add_row(
                Text(_no_command(text.name(row.student))),
                *(of_assignment[place] for of_assignment in cells),
                *([_percent(row.percent)] if last else []),
            )
        if len(self.summary.rows) > 1:
            table.add_section()
            total = statistics.fmean(row.percent for row in self.summary.rows)
            table.add_row(Text("mean", "dim"), *(of_assignment[-1] for of_assignment in cells), *([_percent(total)] if last else []))
        return table

    def _mean(self, column: int) -> tuple[Text, str]:
        """Of what was handed in."""
        mean = self.summary.assignments[column].mean
        return Text("–" if mean is None else number(round(mean, 1)), "dim"), ""

    def _legend(self, wide: bool) -> Text:
        """What the marks that occur mean, and in a narrow table which assignment a number is."""
        standings = self.summary.standings
        found = {standing.report.status for standing in standings}
        entries = [(_STATUS_MARK[status], STATUS_WORDS[status]) for status in (Status.MISSING, Status.BROKEN, Status.UNREADABLE) if status in found]
        entries += [(_LATE, "late, penalty taken off")] if any(map(_is_late, standings)) else []
        entries += [(_FLAGGED, "flagged for review")] if any(standing.report.flags for standing in standings) else []
        entries += [(_NOT_GRADED, "not graded")] if any(cell is None for row in self.summary.rows for cell in row.cells) else []
        legend = Text()
        if not wide:
            titles = (text.name(entry.assignment.folder) for entry in self.summary.assignments)
            legend.append(", ".join(titles) + "\n", "dim")
        for place, (mark, meaning) in enumerate(entries):
            legend.append("   " if place else "").append(mark, "bold").append(f" {meaning}", "dim")
        return legend.append("\n") if entries else legend

    def _run_line(self) -> Text:
        statuses = Counter(standing.report.status for standing in self.summary.standings)
        flagged = sum(bool(standing.report.flags) for standing in self.summary.standings)
        line = Text(f"{counted(self.counts.graded, 'submission')} graded", "bold")
        if self.counts.wall_seconds is not None:
            line.append(f" in {self.counts.wall_seconds:.1f} s", "bold")
        line.append(f", {self.counts.unchanged} unchanged")
        for status, style in ((Status.BROKEN, "red"), (Status.UNREADABLE, "red"), (Status.MISSING, "yellow")):
            if statuses[status]:
                line.append("; ").append(f"{statuses[status]} {STATUS_WORDS[status]}", style)
        if flagged:
            line.append("; ").append(f"{flagged} flagged for review", "magenta")
        return line.append(".")


def grades_table(course: Course, standings: Sequence[Standing], counts: RunCounts) -> GradesTable:
    return GradesTable(summarise(course, standings), counts)


def _no_command(name: str) -> str:
    """A name that begins a line: GitHub Actions takes what begins with these for a command."""
    return f"'{name}" if name.startswith(("::", "##[")) else name


def _heading(entry: AssignmentSummary, wide: bool) -> Text:
    folder = text.name(entry.assignment.folder).replace("_", " ")
    heading = Text("\n".join(textwrap.wrap(folder, _WIDE - 2)) if wide else entry.assignment.number)
    return heading.append(f"\n/{number(entry.max_score)}", "dim")


def _is_late(standing: Standing) -> bool:
    return standing.seconds_late > 0 and standing.late_penalty > 0 and standing.report.score > 0


def _cell(standing: Standing | None, wide: bool) -> tuple[Text, str]:
    """The score that counts and its marks; in a wide table the penalty in points too, in a narrow one a single decimal."""
    if standing is None:
        return Text(_NOT_GRADED, "dim"), ""
    report = standing.report
    if report.status is Status.MISSING:
        return Text(_STATUS_MARK[report.status], "yellow"), ""
    share = standing.final_score / report.max_score if report.max_score > 0 else 0.0
    style = "red" if report.status is not Status.GRADED or share < 0.5 else "green" if share >= 0.9 else ""
    cell = Text()
    if wide and _is_late(standing):
        cell.append(f"(−{number(min(standing.late_penalty, report.score))}) ", "dim")
    cell.append(number(standing.final_score if wide else round(standing.final_score, 1)), style)
    return cell, _STATUS_MARK[report.status] + (_LATE if _is_late(standing) else "") + (_FLAGGED if report.flags else "")


def _aligned(heading: Text, cells: Sequence[tuple[Text, str]]) -> list[Text]:
    """Scores below the right end of their heading, marks after them, digits below digits."""
    marks_width = max(len(marks) for _, marks in cells)
    width = max(max(line.cell_len for line in heading.split()), *(score.cell_len + marks_width for score, _ in cells))
    return [
        # Blanks before, and "left", since rich drops blanks at the end of a right-aligned cell.
        Text.assemble(" " * (width - marks_width - score.cell_len), score, (marks, "bold"), justify="left")
        for score, marks in cells
    ]


def _percent(value: float) -> Text:
    return Text(f"{value:.0f} %", "bold")
