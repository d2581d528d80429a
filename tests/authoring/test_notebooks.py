"""A notebook is the stub in cells, between the sections of the handout, with the questions that a person grades."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from autograder.authoring.assignments import read_assignments
from autograder.authoring.notebook_cells import FIGURE_PLACEHOLDER, TEXT_PLACEHOLDER
from autograder.authoring.notebooks import notebook_source, source_notebook
from autograder.authoring.stubs import stub_source
from autograder.checking.notebook import solution_source
from autograder.course.questions import load_questions
from autograder.grading.paths import REPOSITORY

ASSIGNMENTS = read_assignments(REPOSITORY)
EACH = pytest.mark.parametrize("assignment", ASSIGNMENTS, ids=lambda assignment: assignment.name)

QUESTIONS = """## shape · figure · 1 point
Draw the mask.
### Rubric
- 1 point: axes with names
### Answer
```python
picture = causal_mask(5)
```

The *lower triangle* stays white.
## why · text · 2.5 points
Why does $D$ matter?
### Rubric
- 2.5 points: the variance
### Answer
Its variance grows with D.
"""


def source_of(assignment, questions=()):
    reference = assignment.reference(REPOSITORY).read_text(encoding="utf-8")
    return notebook_source(assignment.name, reference, assignment.handout(REPOSITORY).read_text(encoding="utf-8"), questions, assignment.folder)


def by_id(text):
    return {cell["id"]: cell for cell in nbformat.reads(text, as_version=4).cells}


@pytest.fixture
def course(tmp_path):
    """The course with questions of the tests' own."""
    (tmp_path / "assignments").symlink_to(REPOSITORY / "assignments")
    (tmp_path / "reference_solutions" / "questions").mkdir(parents=True)
    (tmp_path / "reference_solutions" / "attention.py").symlink_to(REPOSITORY / "reference_solutions" / "attention.py")
    (tmp_path / "reference_solutions" / "questions" / "attention.md").write_text(QUESTIONS, encoding="utf-8")
    return tmp_path


@EACH
def test_a_notebook_is_valid_and_holds_no_solution(assignment):
    text = source_of(assignment, load_questions(REPOSITORY, assignment.name))
    nbformat.validate(nbformat.reads(text, as_version=4))
    assert "BEGIN SOLUTION" not in text


@EACH
def test_a_submitted_notebook_gives_the_code_of_the_stub(assignment):
    taken, expected = {}, {}
    exec(compile(solution_source(source_of(assignment)), "notebook", "exec"), taken)
    exec(compile(stub_source(assignment.reference(REPOSITORY).read_text(encoding="utf-8")), "stub", "exec"), expected)
    assert {name for name in expected if not name.startswith("_")} <= set(taken)


def test_solution_cells_are_marked_and_given_cells_are_locked():
    notebook = json.loads(source_of(ASSIGNMENTS[2]))
    marks = [cell["metadata"]["nbgrader"] for cell in notebook["cells"] if "nbgrader" in cell["metadata"]]
    assert [mark["grade_id"] for mark in marks if mark["solution"]] == ["MultiHeadAttention"]
    assert all(mark["locked"] for mark in marks if not mark["solution"])
    assert len({mark["grade_id"] for mark in marks}) == len(marks)


def test_each_question_is_a_locked_text_and_a_cell_to_answer_in(course):
    cells = by_id(source_of(ASSIGNMENTS[0], load_questions(course, "attention")))
    asked, answer = cells["question-why-text"], cells["question-why"]
    assert asked.source == "### Question 2 (2.5 points)\n\nWhy does $D$ matter?\n\n**What the points are for**\n\n- 2.5 points: the variance"
    assert (asked.metadata.editable, asked.metadata.nbgrader.locked, asked.metadata.nbgrader.grade) == (False, True, False)
    assert (answer.cell_type, answer.source) == ("markdown", TEXT_PLACEHOLDER)
    mark = dict(answer.metadata.nbgrader)
    mark.pop("checksum")
    expected = {"grade": True, "solution": True, "locked": False, "task": False, "points": 2.5}
    assert mark == expected | {"grade_id": "question-why", "cell_type": "markdown", "schema_version": 3}
    assert (cells["question-shape"].cell_type, cells["question-shape"].source) == ("code", FIGURE_PLACEHOLDER)
    assert cells["question-shape"].metadata.nbgrader.points == 1


def test_the_students_notebook_says_nothing_of_the_model_answers(course):
    text = source_of(ASSIGNMENTS[0], load_questions(course, "attention"))
    assert "lower triangle" not in text
    assert "variance grows" not in text


def test_the_instructors_notebook_holds_the_model_answers_and_a_solution_that_runs(course):
    cells = by_id(source_notebook(course, ASSIGNMENTS[0]))
    assert cells["question-why"].source == "### BEGIN SOLUTION\nIts variance grows with D.\n### END SOLUTION"
    namespace = {}
    for cell in cells.values():
        if cell.cell_type == "code" and not cell.metadata.get("tags"):
            exec(cell.source, namespace)
    assert namespace["picture"].tolist() == namespace["causal_mask"](5).tolist()


@EACH
def test_nbgrader_makes_the_students_notebook_of_the_instructors(assignment, tmp_path):
    preprocessors = pytest.importorskip("nbgrader.preprocessors", reason="nbgrader is not installed")
    from autograder.nbgrader_course.clear import ClearSolutions

    notebook, resources = nbformat.reads(source_notebook(REPOSITORY, assignment), as_version=4), {}
    chain = (preprocessors.LockCells, ClearSolutions, preprocessors.ClearOutput, preprocessors.CheckCellMetadata, preprocessors.ComputeChecksums)
    for preprocessor in chain:
        notebook, resources = preprocessor().preprocess(notebook, resources)
    released = REPOSITORY / "assignments" / assignment.folder / f"{assignment.name}.ipynb"
    assert nbformat.writes(notebook) + "\n" == released.read_text(encoding="utf-8")


def test_the_command_of_nbgrader_makes_it_too(tmp_path):
    pytest.importorskip("nbgrader", reason="nbgrader is not installed")
    assignment = ASSIGNMENTS[8]  # its solution has helpers of its own
    source = tmp_path / "source" / assignment.folder
    source.mkdir(parents=True)
    (source / f"{assignment.name}.ipynb").write_text(source_notebook(REPOSITORY, assignment), encoding="utf-8")
    names = "LockCells ClearOutput CheckCellMetadata ComputeChecksums"
    chain = ["autograder.nbgrader_course.clear.ClearSolutions", *(f"nbgrader.preprocessors.{name}" for name in names.split())]
    (tmp_path / "nbgrader_config.py").write_text(f"c = get_config()\nc.GenerateAssignment.preprocessors = {chain}\n")
    command = [str(Path(sys.executable).with_name("nbgrader")), "generate_assignment", assignment.folder, "--no-db"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    made = tmp_path / "release" / assignment.folder / f"{assignment.name}.ipynb"
    assert made.read_bytes() == (REPOSITORY / "assignments" / assignment.folder / f"{assignment.name}.ipynb").read_bytes()


@pytest.mark.parametrize("source", ["x = 1", "# BEGIN SOLUTION\nx = 1\n# END SOLUTION", "### BEGIN SOLUTION\nx = 1\n### END SOLUTION"])
def test_a_solution_cell_of_the_instructors_own_is_cleared_as_nbgrader_does(source):
    pytest.importorskip("nbgrader", reason="nbgrader is not installed")
    from autograder.nbgrader_course.clear import ClearSolutions

    mark = {"schema_version": 3, "grade_id": "mine", "solution": True, "grade": False, "locked": False, "task": False}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, metadata={"nbgrader": mark})])
    cleared, _ = ClearSolutions().preprocess(notebook, {})
    assert cleared.cells[0].source == "# YOUR CODE HERE\nraise NotImplementedError()"
