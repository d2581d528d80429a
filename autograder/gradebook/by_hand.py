"""Questions that a person grades, in the gradebook: their points, which answers wait for a grade, and which changed since.

nbgrader has no place for what an answer was when it was graded, so a table of our own beside its tables holds a digest of each.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.course.course import Course
from autograder.course.questions import Question, load_questions
from autograder.nbgrader_course.inert import inert_outputs
from autograder.reports.model import Status
from autograder.results.standings import Standing
from autograder.submissions.answers import Answer, read_answers


@dataclass(frozen=True)
class AnswerState:
    """What the gradebook must know of an answer. sha256: of what a grader sees of it; "" when it was not answered."""

    sha256: str = ""

    @property
    def answered(self) -> bool:
        return bool(self.sha256)


@dataclass(frozen=True)
class HandGraded:
    """questions: by the assignment's folder. answers: by (assignment, student), then by grade_id; of whom nothing is
    said, nothing is known, and their grades stay as they are."""

    questions: Mapping[str, Sequence[Question]] = field(default_factory=dict)
    answers: Mapping[tuple[str, str], Mapping[str, AnswerState]] = field(default_factory=dict)


def read_hand_graded(repository: Path, course: Course, standings: Iterable[Standing], submissions: Path | None) -> HandGraded:
    """The course's questions and, when it is known where the submissions lie, the answers to them. Raises CourseError."""
    questions = {assignment.folder: load_questions(repository, assignment.name) for assignment in course.assignments}
    answers = {}
    for assignment in course.assignments:
        if submissions is None or not questions[assignment.folder]:
            continue
        given = read_answers(repository / "assignments" / assignment.folder, assignment.name)
        for entry in standings:
            if entry.report.assignment == assignment.folder:
                handed = submissions / entry.report.student / assignment.folder
                if entry.report.status is not Status.MISSING and not handed.is_dir():
                    continue
                found = {} if entry.report.status is Status.MISSING else read_answers(handed, assignment.name)
                answers[assignment.folder, entry.report.student] = answer_states(questions[assignment.folder], found, given)
    return HandGraded(questions, answers)


def answer_states(questions: Iterable[Question], found: Mapping[str, Answer], given: Mapping[str, Answer]) -> dict[str, AnswerState]:
    """Which questions were answered, given the cells as they were handed out."""
    states = {}
    for question in questions:
        answer, blank = found.get(question.grade_id), given.get(question.grade_id)
        states[question.grade_id] = AnswerState(_digest(question, answer)) if _is_answer(question, answer, blank) else AnswerState()
    return states


def write_answers(db: Any, assignment: str, students: Mapping[str, tuple[Mapping[str, Any], Mapping[str, AnswerState]]]) -> None:
    """Say for each student's grades (by cell) which wait for a person, from the states of the answers.

    Kept are scores given by hand; one whose answer is another than at the last write waits to be looked at again.
    """
    table = _answers_table()
    table.create(db.connection(), checkfirst=True)
    rows = db.execute(table.select().where(table.c.assignment == assignment))
    before = {(row.student, row.cell): row.sha256 for row in rows}
    for student, (grades, states) in students.items():
        for cell, state in states.items():
            key = {"assignment": assignment, "student": student, "cell": cell}
            known = before.get((student, cell))
            _grade(grades[cell], state, changed=known is not None and known != state.sha256)
            if known is None:
                db.execute(table.insert().values(**key, sha256=state.sha256))
            elif known != state.sha256:
                db.execute(table.update().where(*(table.c[name] == value for name, value in key.items())).values(sha256=state.sha256))


def _grade(grade: Any, state: AnswerState, *, changed: bool) -> None:
    grade.auto_score = None if state.answered else 0.0
    if grade.manual_score is None:
        grade.needs_manual_grade = state.answered
    elif changed:
        grade.needs_manual_grade = True


def _is_answer(question: Question, answer: Answer | None, blank: Answer | None) -> bool:
    if answer is None:
        return False
    if question.kind == "figure" and answer.outputs and (blank is None or list(answer.outputs) != list(blank.outputs)):
        return True
    if answer.attachments:
        return True
    written = answer.source.split()
    return bool(written) and (blank is None or written != blank.source.split())


def _digest(question: Question, answer: Answer | None) -> str:
    shown: list[object] = [answer.source, answer.attachments] if answer else []
    if answer and question.kind == "figure":
        shown.append(inert_outputs(answer.outputs))
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


@functools.cache
def _answers_table() -> Any:
    sqlalchemy = importlib.import_module("sqlalchemy")
    columns = [sqlalchemy.Column(name, sqlalchemy.String(128), primary_key=True) for name in ("assignment", "student", "cell")]
    return sqlalchemy.Table("autograder_answer", sqlalchemy.MetaData(), *columns, sqlalchemy.Column("sha256", sqlalchemy.String(64), nullable=False))
