"""results/grades.csv: one line per student and assignment."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from autograder.results.atomic import write_atomically
from autograder.results.ledger import Ledger
from autograder.results.spreadsheet import csv_line, number, safe_cell
from autograder.results.standings import Standing

COLUMNS = ("student", "assignment", "status", "score", "max_score", "late_penalty", "attempt", "sandbox", "report")


def write_grades(standings: Iterable[Standing], ledger: Ledger) -> Path:
    """Write grades.csv into the ledger's folder. Raises LedgerError, and then the file is as it was."""
    path = ledger.folder / "grades.csv"
    write_atomically(path, grades_csv(standings, ledger).encode("utf-8", "backslashreplace"))
    return path


def grades_csv(standings: Iterable[Standing], ledger: Ledger) -> str:
    """The text of grades.csv, by student and assignment; `report` is a path relative to the file."""
    lines = [csv_line(COLUMNS)]
    for entry in sorted(standings, key=lambda entry: (entry.report.student, entry.report.assignment)):
        report = entry.report
        path = ledger.path(report.assignment, report.student, report.fingerprint).relative_to(ledger.folder)
        texts = [safe_cell(_visible(cell)) for cell in (report.student, report.assignment, report.status.value)]
        numbers = [number(report.score), number(report.max_score), number(entry.late_penalty), report.attempt]
        lines.append(csv_line([*texts, *numbers, safe_cell(report.sandbox.label), safe_cell(_visible(path.as_posix()))]))
    return "".join(lines)


def _visible(text: str) -> str:
    """What would move a terminal's cursor or turn a line's direction, written as Python's escape for it."""
    kept = "\t\r\n"  # which a cell in quotes may hold
    hidden = (character not in kept and unicodedata.category(character) in ("Cc", "Cf") for character in text)
    return "".join(ascii(character)[1:-1] if hides else character for character, hides in zip(text, hidden, strict=True))
