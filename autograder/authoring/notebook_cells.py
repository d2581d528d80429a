"""The kinds of cells that a course's notebook has, with nbgrader's metadata (its schema 3) as `nbgrader generate_assignment` leaves it."""

from __future__ import annotations

import hashlib
from typing import Any

from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder.course.questions import Question

PRACTICE_TAG = "practice"
TEXT_PLACEHOLDER = "*Write your answer here, in place of this line.*"
FIGURE_PLACEHOLDER = """# Draw here, in place of these lines, and run the cell: what it shows is graded, so save the notebook after that.
# Words that the question asks for go into a print(...)."""


def text(cell_id: str, source: str) -> Any:
    return new_markdown_cell(source, id=cell_id)


def practice(cell_id: str, source: str) -> Any:
    """Code that is no part of the solution."""
    return new_code_cell(source, id=cell_id, metadata={"tags": [PRACTICE_TAG]})


def solution(grade_id: str, source: str) -> Any:
    return _marked(new_code_cell(source, id=grade_id), grade_id, solution=True)


def given(grade_id: str, source: str) -> Any:
    return _marked(new_code_cell(source, id=grade_id), grade_id)


def check(grade_id: str, source: str) -> Any:
    """A test for `nbgrader validate`, worth nothing; no part of the solution."""
    return _marked(new_code_cell(source, id=grade_id, metadata={"tags": [PRACTICE_TAG]}), grade_id, points=0)


def asked(question: Question, source: str) -> Any:
    grade_id = f"{question.grade_id}-text"
    return _marked(new_markdown_cell(source, id=grade_id[:64]), grade_id)


def answer(question: Question, source: str) -> Any:
    cell_id = question.grade_id[:64]
    cell = new_code_cell(source, id=cell_id) if question.cell_type == "code" else new_markdown_cell(source, id=cell_id)
    return _marked(cell, question.grade_id, solution=True, points=question.points)


def placeholder(cell_type: str) -> str:
    """What stands in an answer's cell before there is an answer."""
    return FIGURE_PLACEHOLDER if cell_type == "code" else TEXT_PLACEHOLDER


def _marked(cell: Any, grade_id: str, *, solution: bool = False, points: float | None = None) -> Any:
    """Nothing that is marked can be deleted, and only what is to be written can be changed."""
    mark: dict[str, object] = {"schema_version": 3, "grade_id": grade_id, "task": False, "cell_type": cell.cell_type}
    mark |= {"solution": solution, "locked": not solution, "grade": points is not None}
    if points is not None:
        mark["points"] = int(points) if points == int(points) else points
    mark["checksum"] = checksum(cell.source, mark)
    cell.metadata |= {"nbgrader": mark, "deletable": False} | ({} if solution else {"editable": False})
    return cell


def checksum(source: str, mark: dict[str, Any]) -> str:
    """nbgrader's own, by which `nbgrader validate` sees that a question is unanswered or that a given cell was changed."""
    flags = (mark["grade"], mark["solution"], not mark["solution"])
    parts = [source, mark["cell_type"], *(str(bool(flag)) for flag in flags), mark["grade_id"]]
    parts += [str(float(mark["points"]))] if mark["grade"] else []
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()
