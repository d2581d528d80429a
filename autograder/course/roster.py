"""Who takes the course: an optional CSV file with one line per student.

Columns: student (required: the name of the student's folder), first_name, last_name, email, github, repository,
extension_days (days more for every assignment), and extension:01_attention (days more for that one; wins when filled in).
For exports to other systems: canvas_id, sis_user_id, sis_login_id, section, moodle_username, moodle_idnumber, gradescope_email.
Other columns are ignored, so that a list exported from elsewhere can be used as it is.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from autograder.course.course import Course, CourseError
from autograder.course.names import SafeNameError, check_name

# Each names one person in another system: no two students can share one.
IDS = ("canvas_id", "sis_user_id", "sis_login_id", "moodle_username", "moodle_idnumber", "gradescope_email")
COLUMNS = ("student", "first_name", "last_name", "email", "github", "repository", "extension_days", "section", *IDS)
_PER_ASSIGNMENT = "extension:"
_MAX_EXTENSION_DAYS = 3650


class RosterError(CourseError):
    """The roster cannot be read; the message names the file and the line."""


@dataclass(frozen=True)
class Student:
    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    github: str = ""
    repository: str = ""
    section: str = ""
    canvas_id: str = ""
    sis_user_id: str = ""
    sis_login_id: str = ""
    moodle_username: str = ""
    moodle_idnumber: str = ""
    gradescope_email: str = ""
    extension_days: float = 0.0
    extensions: dict[str, float] = field(default_factory=dict)  # days, by the assignment's folder


@dataclass(frozen=True)
class Roster:
    students: tuple[Student, ...]

    @cached_property
    def _by_id(self) -> dict[str, Student]:
        return {student.id: student for student in self.students}

    def find(self, student: str) -> Student | None:
        return self._by_id.get(student)

    def extension(self, student: str, assignment: str) -> timedelta:
        """How much later than the due time the student may hand in `assignment`, a folder like "01_attention"."""
        entry = self.find(student)
        return timedelta(days=entry.extensions.get(assignment, entry.extension_days)) if entry else timedelta()


def load_roster(path: Path, course: Course) -> Roster:
    """Read a roster: UTF-8 with or without a byte order mark, comma or semicolon, any line ends. Raises RosterError."""
    text = _text(path)
    first_line = (text.splitlines() or [""])[0]
    delimiter = ";" if ";" in first_line and "," not in first_line else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    students: dict[str, tuple[int, Student]] = {}
    taken: dict[tuple[str, str], str] = {}
    columns: tuple[str, ...] | None = None
    line = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                if columns is None:
                    columns = _columns(path, row, course)
                else:
                    student = _student(f"{path.name}, line {line}", columns, row)
                    if student.id in students:
                        raise RosterError(f"{path.name}, line {line}: student {student.id!r} is already on line {students[student.id][0]}")
                    _check_ids(f"{path.name}, line {line}", student, taken)
                    students[student.id] = (line, student)
            line = reader.line_num + 1
    except csv.Error as error:
        raise RosterError(f"{path.name}, line {line}: not valid CSV: {error}") from None
    if columns is None:
        raise RosterError(f"{path.name} is empty; expected a first line with the column names, among them 'student'")
    return Roster(tuple(student for _, student in students.values()))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise RosterError(f"the roster {path} does not exist") from None
    except OSError as error:
        raise RosterError(f"the roster {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RosterError(f"{path.name}: byte {error.start} is not UTF-8; save the file as CSV in UTF-8") from None


def _columns(path: Path, header: list[str], course: Course) -> tuple[str, ...]:
    """The header with the names of assignments written out ("extension:attention" becomes "extension:01_attention")."""
    columns = []
    for cell in header:
        column = cell.strip().lower()
        if column.startswith(_PER_ASSIGNMENT):
            try:
                column = _PER_ASSIGNMENT + course.find(column.removeprefix(_PER_ASSIGNMENT)).folder
            except CourseError as error:
                raise RosterError(f"{path.name}, column {cell!r}: {error}") from None
        elif column not in COLUMNS and (close := get_close_matches(column, COLUMNS, n=1, cutoff=0.8)):
            raise RosterError(f"{path.name}: unknown column {cell!r}; did you mean {close[0]!r}?")
        columns.append(column)
    if "student" not in columns:
        raise RosterError(f"{path.name}: the column 'student' is missing; the first line has {', '.join(map(repr, header))}")
    column, count = Counter(column for column in columns if column).most_common(1)[0]
    if count > 1:
        raise RosterError(f"{path.name}: the column {column!r} is there {count} times; expected each once")
    return tuple(columns)


def _student(where: str, columns: tuple[str, ...], row: list[str]) -> Student:
    if len(row) > len(columns):
        raise RosterError(f"{where}: {len(row)} cells for {len(columns)} columns; put a cell that holds a comma in double quotes")
    cells = {column: cell.strip() for column, cell in zip(columns, row, strict=False)}
    try:
        identity = check_name(cells["student"], "student")
    except SafeNameError as error:
        raise RosterError(f"{where}: {error}") from None
    return Student(
        id=identity,
        first_name=cells.get("first_name", ""),
        last_name=cells.get("last_name", ""),
        email=cells.get("email", ""),
        github=cells.get("github", ""),
        repository=cells.get("repository", ""),
        section=cells.get("section", ""),
        **_ids(where, cells),
        extension_days=_days(where, "extension_days", cells.get("extension_days", "")) or 0.0,
        extensions={
            column.removeprefix(_PER_ASSIGNMENT): days
            for column, cell in cells.items()
            if column.startswith(_PER_ASSIGNMENT) and (days := _days(where, column, cell)) is not None
        },
    )


def _ids(where: str, cells: dict[str, str]) -> dict[str, str]:
    ids = {column: cells.get(column, "") for column in IDS}
    number = ids["canvas_id"]
    if number and not (number.isascii() and number.isdigit()):
        raise RosterError(f"{where}: canvas_id is {number!r}; expected the number that Canvas has in the column ID, like 10432")
    return ids


def _check_ids(where: str, student: Student, taken: dict[tuple[str, str], str]) -> None:
    """Raises RosterError when another student has the same id. None of these systems tells capitals apart."""
    for column in IDS:
        if value := getattr(student, column):
            other = taken.setdefault((column, value.casefold()), student.id)
            if other != student.id:
                raise RosterError(f"{where}: {column} {value!r} of student {student.id!r} is already that of {other!r}")


def _days(where: str, column: str, cell: str) -> float | None:
    if not cell:
        return None
    try:
        days = float(cell)
    except ValueError:
        days = math.nan
    if not 0 <= days <= _MAX_EXTENSION_DAYS:
        raise RosterError(f"{where}: {column} is {cell!r}; expected a number of days from 0 to {_MAX_EXTENSION_DAYS}, like 2 or 0.5")
    return days
