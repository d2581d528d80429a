"""A notebook is the stub in cells, between the sections of the handout."""

from __future__ import annotations

import json

import nbformat
import pytest

from autograder.authoring.assignments import read_assignments
from autograder.authoring.notebooks import notebook_source
from autograder.authoring.stubs import stub_source
from autograder.checking.notebook import solution_source
from autograder.grading.paths import REPOSITORY

ASSIGNMENTS = read_assignments(REPOSITORY)


def notebook_of(assignment, source=None):
    reference = assignment.reference(REPOSITORY).read_text(encoding="utf-8") if source is None else source
    return notebook_source(assignment.name, reference, assignment.handout(REPOSITORY).read_text(encoding="utf-8"))


@pytest.mark.parametrize("assignment", ASSIGNMENTS, ids=lambda assignment: assignment.name)
def test_a_notebook_is_valid_and_holds_no_solution(assignment):
    text = notebook_of(assignment)
    nbformat.validate(nbformat.reads(text, as_version=4))
    assert "BEGIN SOLUTION" not in text


@pytest.mark.parametrize("assignment", ASSIGNMENTS, ids=lambda assignment: assignment.name)
def test_a_submitted_notebook_gives_the_code_of_the_stub(assignment):
    taken, expected = {}, {}
    exec(compile(solution_source(notebook_of(assignment)), "notebook", "exec"), taken)
    exec(compile(stub_source(assignment.reference(REPOSITORY).read_text(encoding="utf-8")), "stub", "exec"), expected)
    assert {name for name in expected if not name.startswith("_")} <= set(taken)


def test_solution_cells_are_marked_and_given_cells_are_locked():
    notebook = json.loads(notebook_of(ASSIGNMENTS[2]))
    marks = [cell["metadata"]["nbgrader"] for cell in notebook["cells"] if "nbgrader" in cell["metadata"]]
    assert [mark["grade_id"] for mark in marks if mark["solution"]] == ["MultiHeadAttention"]
    assert all(mark["locked"] for mark in marks if not mark["solution"])
    assert len({mark["grade_id"] for mark in marks}) == len(marks)
