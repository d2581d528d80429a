"""A class's grades as the exporters need them, and what an exporter says when it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autograder.results.spreadsheet import is_safe, one_line_text


class ExportError(Exception):
    """Nothing was written; the message says what to change."""


@dataclass(frozen=True)
class QuestionGrade:
    """A test, or a question that a person grades. Scores are None while nobody gave one."""

    id: str
    title: str
    max_score: float
    auto_score: float | None
    manual_score: float | None
    extra_credit: float | None
    needs_manual_grade: bool
    comment: str = ""

    @property
    def kind(self) -> str:
        return "test" if self.id.startswith("test_") else "question"

    @property
    def score(self) -> float:
        """As nbgrader counts: a score given by hand wins; extra credit is added to any score there is."""
        given = self.manual_score if self.manual_score is not None else self.auto_score
        return given + (self.extra_credit or 0.0) if given is not None else 0.0


@dataclass(frozen=True)
class Submission:
    student: str
    assignment: str
    questions: tuple[QuestionGrade, ...]
    late_penalty: float = 0.0
    comment: str = ""  # on the submission as a whole

    @property
    def score(self) -> float:
        return max(0.0, sum(question.score for question in self.questions) - self.late_penalty)

    @property
    def needs_manual_grade(self) -> bool:
        return any(question.needs_manual_grade for question in self.questions)


@dataclass(frozen=True)
class Person:
    """A student, with the ids of the roster; "" where there is none."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    section: str = ""
    canvas_id: str = ""
    sis_user_id: str = ""
    sis_login_id: str = ""
    moodle_username: str = ""
    moodle_idnumber: str = ""
    gradescope_email: str = ""

    @property
    def sortable_name(self) -> str:
        """ "Last, First", or the id when there is no name."""
        names = [one_line_text(name) for name in (self.last_name, self.first_name)]
        return ", ".join(filter(None, names)) or one_line_text(self.id)


@dataclass(frozen=True)
class ClassGrades:
    """people and assignments in the order of their ids and names; max_scores by assignment; submissions by (assignment, student)."""

    people: tuple[Person, ...]
    max_scores: Mapping[str, float]
    submissions: Mapping[tuple[str, str], Submission]

    @property
    def assignments(self) -> tuple[str, ...]:
        return tuple(self.max_scores)


@dataclass(frozen=True)
class Rules:
    """missing: what who handed in nothing gets, "blank" or "zero". ungraded: a submission that waits for a person is "blank", or
    "partial": what it has so far."""

    missing: str = "blank"
    ungraded: str = "blank"


@dataclass(frozen=True)
class Exported:
    """files: what to write, by path; relative to a folder when there are several. warnings: for the instructor."""

    files: Mapping[Path, bytes]
    warnings: Sequence[str] = field(default_factory=tuple)


def totals(grades: ClassGrades, rules: Rules, warnings: list[str]) -> dict[tuple[str, str], float | None]:
    """Each student's score for each assignment, None for a blank; adds a warning that counts what waits for a person."""
    found: dict[tuple[str, str], float | None] = {}
    for assignment in grades.assignments:
        waiting = 0
        for person in grades.people:
            submission = grades.submissions.get((assignment, person.id))
            if submission is None:
                found[assignment, person.id] = 0.0 if rules.missing == "zero" else None
            elif submission.needs_manual_grade:
                waiting += 1
                found[assignment, person.id] = submission.score if rules.ungraded == "partial" else None
            else:
                found[assignment, person.id] = submission.score
        if waiting:
            said = "count with what they have so far" if rules.ungraded == "partial" else "are left blank"
            warnings.append(f"{assignment}: {waiting} submissions wait for a person to grade them and {said}")
    return found


def check_ids(people: Sequence[Person], columns: Sequence[str]) -> None:
    """Raises ExportError for an id that a spreadsheet would run, since an id is never changed, and for one that two students share."""
    for column in columns:
        owners: dict[str, str] = {}
        for person in people:
            value = getattr(person, column)
            if not value:
                continue
            if not is_safe(value) or one_line_text(value) != value:
                raise ExportError(
                    f"{column} {value!r} of student {person.id!r} would be a formula in a spreadsheet, and ids are never changed; "
                    "correct it in the roster or in the gradebook"
                )
            owner = owners.setdefault(value.casefold(), person.id)
            if owner != person.id:
                raise ExportError(f"{column} {value!r} belongs to two students, {owner!r} and {person.id!r}; correct the roster or the gradebook")


def named(what: str, people: Sequence[Person], reason: str) -> list[str]:
    """A warning that names students; none when there are none."""
    if not people:
        return []
    shown = ", ".join(repr(person.id) for person in people[:20]) + (f" and {len(people) - 20} more" if len(people) > 20 else "")
    return [f"{len(people)} {what}, {reason}: {shown}"]
