"""Read a class's grades from nbgrader's gradebook: a handful of queries, however large the class."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from autograder.course.roster import IDS, Roster
from autograder.exports.model import ClassGrades, ExportError, Person, QuestionGrade, Submission
from autograder.gradebook.database import nbgrader_api
from autograder.gradebook.write import student_key
from autograder.grading.paths import HIDDEN_TESTS
from autograder.nbgrader_course.notebooks import WHOLE
from autograder.results.spreadsheet import printable


def read_grades(
    gradebook: Any, roster: Roster | None = None, assignments: Sequence[str] = (), students: Sequence[str] = (), *, comments: bool = False
) -> ClassGrades:
    """The gradebook's students with the roster's ids, and their grades. No names means all.

    assignments: "01_attention", "attention" or "01". Raises ExportError for a name that the gradebook does not have.
    """
    api = nbgrader_api()
    db = gradebook.db
    names = [name for (name,) in db.query(api.Assignment.name).order_by(api.Assignment.name)]
    chosen = sorted({_find(name, names) for name in assignments}) or names
    people = _people(db.query(api.Student).order_by(api.Student.id), roster)
    if unknown := set(students) - {person.id for person in people}:
        raise ExportError(f"the gradebook has no student {sorted(unknown)[0]!r}")
    people = [person for person in people if not students or person.id in students]
    cells = _cells(api, db, chosen)
    max_scores = {name: sum(cell.max_score or 0.0 for cell in cells[name].values()) for name in chosen}
    return ClassGrades(tuple(people), max_scores, _submissions(api, db, cells, {person.id for person in people}, comments))


def _find(name: str, names: Sequence[str]) -> str:
    found = [known for known in names if name in (known, *known.split("_", 1))]
    if len(found) != 1:
        raise ExportError(f"the gradebook has no assignment {name!r}; it has {', '.join(names) or 'none'}")
    return found[0]


def _people(rows: Any, roster: Roster | None) -> list[Person]:
    listed = {student_key(student.id): student for student in (roster.students if roster else ())}
    people = []
    for row in rows:
        person = Person(row.id, row.first_name or "", row.last_name or "", row.email or "", canvas_id=row.lms_user_id or "")
        if (student := listed.get(row.id)) is not None:
            given = {column: value for column in (*IDS, "first_name", "last_name", "email", "section") if (value := getattr(student, column))}
            person = replace(person, **given)
        people.append(person)
    return people


def _cells(api: Any, db: Any, chosen: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The cells that carry points, by assignment and cell id, in the order of the notebooks and then of their names."""
    found: dict[str, dict[str, Any]] = {name: {} for name in chosen}
    rows = []
    for kind in (api.GradeCell, api.TaskCell):
        query = db.query(api.Assignment.name.label("assignment"), api.Notebook.name.label("notebook"), kind.id, kind.name, kind.max_score)
        rows += query.select_from(kind).join(api.Notebook, api.Notebook.id == kind.notebook_id).join(api.Assignment).all()
    for row in sorted(rows, key=lambda row: (row.assignment, row.notebook, not row.name.startswith("test_"), row.name)):
        if row.assignment in found:
            found[row.assignment][row.id] = row
    return found


def _submissions(api: Any, db: Any, cells: dict[str, dict[str, Any]], students: set[str], comments: bool) -> dict[tuple[str, str], Submission]:
    grade = api.Grade
    grades: dict[str, dict[str, Any]] = defaultdict(dict)  # by the submitted notebook, then by cell
    for row in db.query(grade.notebook_id, grade.cell_id, grade.auto_score, grade.manual_score, grade.extra_credit, grade.needs_manual_grade):
        grades[row.notebook_id][row.cell_id] = row
    said = _comments(api, db) if comments else {}
    parts: dict[tuple[str, str], list[Submission]] = defaultdict(list)
    query = db.query(
        api.Assignment.name.label("assignment"),
        api.SubmittedAssignment.student_id,
        api.SubmittedNotebook.id,
        api.SubmittedNotebook.late_submission_penalty,
    )
    query = (
        query.select_from(api.SubmittedAssignment)
        .join(api.Assignment)
        .outerjoin(api.SubmittedNotebook, api.SubmittedNotebook.assignment_id == api.SubmittedAssignment.id)
    )
    for row in query:
        if row.assignment not in cells or row.student_id not in students:
            continue
        given = grades.get(row.id, {})
        questions = tuple(
            QuestionGrade(
                cell.name,
                title(row.assignment, cell.name),
                cell.max_score or 0.0,
                given[cell_id].auto_score,
                given[cell_id].manual_score,
                given[cell_id].extra_credit,
                given[cell_id].needs_manual_grade,
                said.get((row.id, cell.name), ""),
            )
            for cell_id, cell in cells[row.assignment].items()
            if cell_id in given
        )
        whole = said.get((row.id, WHOLE), "")
        parts[row.assignment, row.student_id].append(Submission(row.student_id, row.assignment, questions, row.late_submission_penalty or 0.0, whole))
    return {key: _joined(parts[key]) for key in sorted(parts)}


def _joined(parts: list[Submission]) -> Submission:
    """nbgrader keeps a submission by notebook."""
    questions = tuple(question for part in parts for question in part.questions)
    comment = "\n\n".join(part.comment for part in parts if part.comment)
    return replace(parts[0], questions=questions, late_penalty=sum(part.late_penalty for part in parts), comment=comment)


def _comments(api: Any, db: Any) -> dict[tuple[str, str], str]:
    """Comments by the submitted notebook and the name of their cell."""
    comment = api.Comment
    query = db.query(comment.notebook_id, api.BaseCell.name, comment.manual_comment, comment.auto_comment)
    query = query.select_from(comment).join(api.BaseCell, api.BaseCell.id == comment.cell_id)
    found = {}
    for row in query:
        text = row.manual_comment if row.manual_comment is not None else row.auto_comment
        if text and text.strip():
            found[row.notebook_id, row.name] = printable(text.strip())
    return found


def title(assignment: str, cell: str) -> str:
    """What a student reads as the name of a test; for other cells their name as words."""
    known = _test_titles(assignment.split("_", 1)[-1]) if cell.startswith("test_") else {}
    return known.get(cell) or cell.removeprefix("test_").replace("_", " ").replace("question-", "question: ", 1).capitalize()


@cache
def _test_titles(name: str) -> dict[str, str]:
    """The first line of each hidden test's docstring."""
    path = HIDDEN_TESTS / f"test_{name}.py"
    if not name.isidentifier() or not path.is_file():
        return {}
    tests = (node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef))
    return {test.name: text.split("\n")[0].strip() for test in tests if (text := ast.get_docstring(test))}
