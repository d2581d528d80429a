"""results/grades.csv: one line per student and assignment."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from autograder.results.atomic import write_atomically
from autograder.results.ledger import Ledger
from autograder.results.standings import Standing

COLUMNS = ("student", "assignment", "status", "score", "max_score", "late_penalty", "attempt", "sandbox", "report")

# A spreadsheet runs a cell that starts so as a formula, whoever wrote it.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_grades(standings: Iterable[Standing], ledger: Ledger) -> Path:
    """Write grades.csv into the ledger's folder. Raises LedgerError, and then the file is as it was."""
    path = ledger.folder / "grades.csv"
    write_atomically(path, grades_csv(standings, ledger).encode("utf-8", "backslashreplace"))
    return path


def grades_csv(standings: Iterable[Standing], ledger: Ledger) -> str:
    """The text of grades.csv, by student and assignment; `report` is a path relative to the file."""
    lines = [_line(COLUMNS)]
    for entry in sorted(standings, key=lambda entry: (entry.report.student, entry.report.assignment)):
        report = entry.report
        path = ledger.path(report.assignment, report.student, report.fingerprint).relative_to(ledger.folder)
        texts = [safe_cell(cell) for cell in (report.student, report.assignment, report.status.value)]
        numbers = [_number(report.score), _number(report.max_score), _number(entry.late_penalty), report.attempt]
        lines.append(_line([*texts, *numbers, safe_cell(report.sandbox.label), safe_cell(path.as_posix())]))
    return "".join(lines)


def safe_cell(text: str) -> str:
    """The text for a CSV cell, with an apostrophe before what a spreadsheet would take for a formula."""
    return "'" + text if text.startswith(_STARTS_A_FORMULA) else text


def _line(cells: Sequence[object]) -> str:
    """One line, ended the Unix way. The writer would leave a carriage return in a cell unquoted if it were told to end so."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _number(value: float) -> str:
    return format(round(value, 6) + 0.0, ".12g")
