"""Restart & Run All and `nbgrader validate`, on notebooks as far as students have come with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from autograder.authoring.assignments import read_assignments
from autograder.authoring.notebooks import notebook_source, source_notebook
from autograder.checking import check
from autograder.course.questions import load_questions
from autograder.grading.paths import REPOSITORY

ASSIGNMENTS = {assignment.name: assignment for assignment in read_assignments(REPOSITORY)}

ALL_NOTEBOOKS = """
import contextlib, io, json, os, sys
from pathlib import Path

said = {}
for name in sys.argv[1:]:
    path = Path(name)
    os.chdir(path.parent)
    namespace, said[path.stem] = {"__name__": "__main__"}, {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile("".join(cell["source"]), cell["id"], "exec"), namespace)
            said[path.stem][cell["id"]] = out.getvalue()
print(json.dumps(said))
"""


def notebook_of(name, *written, answers=None):
    """The student's notebook with these functions written as the reference has them, and these answers."""
    assignment = ASSIGNMENTS[name]
    notebook = nbformat.read(REPOSITORY / "assignments" / assignment.folder / f"{name}.ipynb", as_version=4)
    solved = {cell.id: cell.source for cell in nbformat.reads(source_notebook(REPOSITORY, assignment), as_version=4).cells}
    for cell in notebook.cells:
        if cell.id in written:
            cell.source = solved[cell.id]
        elif cell.metadata.get("nbgrader", {}).get("grade") and answers is not None and cell.id != "check":
            cell.source = "print('drawn')" if cell.cell_type == "code" else answers
    return notebook


def handed_out(notebook, name, folder):
    """As nbgrader hands an assignment out: in a folder of its own, with the public tests beside it."""
    assignment = ASSIGNMENTS[name]
    place = folder / assignment.folder
    place.mkdir()
    (place / "test_public.py").write_bytes((REPOSITORY / "assignments" / assignment.folder / "test_public.py").read_bytes())
    nbformat.write(notebook, place / f"{name}.ipynb")
    return place / f"{name}.ipynb"


def run_all(notebook, name, folder):
    """Each code cell's outputs, by the cell; stops, as Jupyter does, at a cell that raises."""
    client = pytest.importorskip("nbclient", reason="nbclient is not installed")
    path = handed_out(notebook, name, folder)
    client.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def text_of(outputs):
    return "".join(output.get("text", "") for output in outputs)


def validate(notebook, name, folder):
    pytest.importorskip("nbgrader", reason="nbgrader is not installed")
    path = handed_out(notebook, name, folder)
    command = [str(Path(sys.executable).with_name("nbgrader")), "validate", path.name, "--Execute.timeout=300"]
    finished = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)
    assert "Traceback" not in finished.stdout + finished.stderr
    return finished.stdout


def test_run_all_reaches_the_end_of_every_untouched_notebook_and_says_what_is_to_do():
    paths = [str(REPOSITORY / "assignments" / assignment.folder / f"{assignment.name}.ipynb") for assignment in ASSIGNMENTS.values()]
    command = [sys.executable, "-c", ALL_NOTEBOOKS, *paths]
    finished = subprocess.run(command, env=os.environ | {"MPLBACKEND": "Agg"}, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    for name, said in json.loads(finished.stdout).items():
        drawn = [text for cell, text in said.items() if cell.startswith("draw-")]
        assert drawn, name
        assert all(text.startswith("Nothing to draw yet (not implemented yet: ") and text.count("\n") == 1 for text in drawn), name
        assert "public tests pass" in said["check"], name


def test_run_all_on_a_half_done_notebook(tmp_path):
    outputs = run_all(notebook_of("attention", "padding_mask", "causal_mask"), "attention", tmp_path)
    assert "2 of 7 public tests pass (5 not implemented yet)." in text_of(outputs["check"])
    assert text_of(outputs["draw-1"]) == "Nothing to draw yet (not implemented yet: combine_masks).\n"


def test_run_all_on_a_finished_notebook_draws(tmp_path):
    written = ("rotary_frequencies", "apply_rotary", "RotaryMultiHeadAttention")
    outputs = run_all(notebook_of("rope", *written), "rope", tmp_path)
    assert "7 of 7 public tests pass." in text_of(outputs["check"])
    assert ["image/png" in output.data for output in outputs["draw-1"]] == [True]


def test_validate_says_which_cells_are_open(tmp_path):
    said = validate(notebook_of("attention", "padding_mask", "causal_mask"), "attention", tmp_path)
    assert "2 of 7 public tests pass (5 not implemented yet)." in said
    assert "not implemented yet: combine_masks" in said
    texts = [question for question in load_questions(REPOSITORY, "attention") if question.kind == "text"]
    assert said.count("You did not provide a response.") == len(texts) > 0  # nbgrader has other words for a figure


def test_validate_is_content_with_a_finished_notebook(tmp_path):
    written = ("padding_mask", "causal_mask", "combine_masks", "scaled_dot_product_attention")
    assert "Success! Your notebook passes all the tests." in validate(notebook_of("attention", *written, answers="Because."), "attention", tmp_path)


def check_cell(path, cwd, *flags):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    (source,) = ("".join(cell["source"]) for cell in notebook["cells"] if cell["id"] == "check")
    return subprocess.run([sys.executable, *flags, "-c", source], cwd=cwd, capture_output=True, text=True, check=False)


def test_the_check_cell_away_from_the_course_says_what_to_do(tmp_path):
    finished = check_cell(REPOSITORY / "assignments" / "01_attention" / "attention.ipynb", tmp_path, "-S")
    assert finished.returncode == 0
    assert finished.stderr.startswith("Nothing was checked: Python finds no autograder here. Keep this notebook in the course's folder")


def test_without_public_tests_the_check_says_where_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check, "__file__", str(tmp_path / "site-packages" / "autograder" / "checking" / "check.py"))
    check.check_notebook("attention", {})
    assert capsys.readouterr().out.startswith("Nothing was checked: the public tests are not here. They are the file test_public.py")


@pytest.mark.parametrize(
    ("code", "says"),
    [("import no_such_package", "Python finds no no_such_package here; `pip install no_such_package` brings it."), ("no_such_name()", "NameError")],
)
def test_a_drawing_cell_raises_the_students_own_mistakes_and_says_what_is_missing(code, says):
    notebook = nbformat.reads(notebook_source("x", "import math\n", f"# X\n\n## Draw it\n\n```python\n{code}\n```\n"), as_version=4)
    (cell,) = (cell for cell in notebook.cells if cell.id.startswith("draw-") and cell.cell_type == "code")
    finished = subprocess.run([sys.executable, "-S", "-c", cell.source], capture_output=True, text=True, check=False)
    assert says in finished.stdout + finished.stderr
    assert (finished.returncode == 0) == code.startswith("import")
