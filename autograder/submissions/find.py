"""Which students handed in what: <submissions>/<student>/NN_name/name.py, as nbgrader lays it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import Assignment, Course
from autograder.course.names import SafeNameError, check_name
from autograder.course.roster import Roster
from autograder.reports import text


class SubmissionsError(Exception):
    """The submissions cannot be graded as asked: a folder is missing or unreadable, or a student is unknown."""


@dataclass(frozen=True)
class Handed:
    """One student's folder for one assignment; it need not exist."""

    student: str
    assignment: Assignment
    folder: Path


@dataclass(frozen=True)
class Found:
    """All submissions to grade, students in order, and what else lies there for a person to look at."""

    handed: tuple[Handed, ...]
    notes: tuple[str, ...]


def find_submissions(
    submissions: Path, course: Course, assignments: Sequence[Assignment], student: str | None = None, roster: Roster | None = None
) -> Found:
    """One entry for each student and assignment, also where nothing was handed in."""
    students, notes = _students(submissions)
    if roster is not None:
        unknown = [name for name in students if roster.find(name) is None]
        notes += [f"{name} handed something in and is not on the roster" for name in unknown]
        students = sorted({*students, *(entry.id for entry in roster.students)})
    if student is not None:
        if student not in students:
            raise SubmissionsError(f"there is no student {student!r} in {submissions}{_nearest(student, students)}")
        students = [student]
    folders = {assignment.folder for assignment in course.assignments}
    for name in students:
        notes += _strange_folders(submissions / name, name, folders)
    handed = [Handed(name, assignment, submissions / name / assignment.folder) for assignment in assignments for name in students]
    return Found(tuple(handed), tuple(notes))


def _students(submissions: Path) -> tuple[list[str], list[str]]:
    try:
        entries = sorted(os.scandir(submissions), key=lambda entry: entry.name)
    except FileNotFoundError:
        raise SubmissionsError(f"there is no folder {submissions}; it should hold one folder for each student") from None
    except NotADirectoryError:
        raise SubmissionsError(f"{submissions} is not a folder; it should be one that holds a folder for each student") from None
    except OSError as error:
        raise SubmissionsError(f"{submissions} cannot be read: {error.strerror}; check its permissions") from None
    students, notes = [], []
    for entry in entries:
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir() or entry.is_symlink():
            try:
                students.append(check_name(entry.name, "student"))
            except SafeNameError as error:
                notes.append(f"{error}; the folder was passed over: rename it and grade again")
        elif entry.name not in ("README.md", "roster.csv"):
            notes.append(f"{entry.name} in {submissions} is not a student's folder and was passed over")
    notes += _lookalikes(students)
    if not students:
        raise SubmissionsError(f"{submissions} holds no student's folder; a submission lies at <student>/NN_name/name.py")
    return students, notes


def _lookalikes(students: Sequence[str]) -> list[str]:
    """Names of several folders that read as one: by case, by the form of an accent, by characters that do not show."""
    alike: dict[str, list[str]] = {}
    for student in students:
        alike.setdefault(unicodedata.normalize("NFKC", text.name(student)).casefold(), []).append(student)
    return [
        f"{' and '.join(map(ascii, names))} look alike and are graded as {len(names)} students; merge their folders if it is one"
        for names in alike.values()
        if len(names) > 1
    ]


def _strange_folders(folder: Path, student: str, known: set[str]) -> list[str]:
    if folder.is_symlink():
        return []  # refused, with a message of its own, when it is read
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith((".", "_")))
    except OSError:
        return []
    return [f"{student}/{name} is no assignment of this course and was passed over" for name in names if name not in known]


def _nearest(name: str, students: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, students, n=3)
    return f"; did you mean {' or '.join(close)}?" if close else f"; it holds {len(students)} students"
