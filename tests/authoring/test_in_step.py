"""Generated files are committed, and are what their sources give now."""

from __future__ import annotations

import subprocess
import sys

import pytest

from autograder.authoring.assignments import read_assignments
from autograder.authoring.figures.__main__ import draw_all
from autograder.authoring.generate import main, stale, write
from autograder.grading.paths import REPOSITORY

NAMES = [assignment.name for assignment in read_assignments(REPOSITORY)]


def test_stubs_and_notebooks_are_in_step_with_their_references():
    assert stale(REPOSITORY) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_handout_has_its_figures_tested(name):
    assert "def test_figures_are_" in (REPOSITORY / "tests" / "content" / f"test_handout_{name}.py").read_text()


def test_the_command_draws_what_is_committed(tmp_path):
    drawn = {path.name: path.read_bytes() for path in draw_all(["attention"], tmp_path)}
    assert drawn == {path.name: path.read_bytes() for path in (REPOSITORY / "assignments" / "01_attention" / "figures").iterdir()}


def test_a_drift_is_found_and_mended(tmp_path):
    for part in ("assignments", "reference_solutions"):
        subprocess.run(["cp", "-r", REPOSITORY / part, tmp_path / part], check=True)
    (tmp_path / "course.toml").write_bytes((REPOSITORY / "course.toml").read_bytes())
    stub = tmp_path / "assignments" / "01_attention" / "attention.py"
    stub.write_text(stub.read_text() + "\n# edited by hand\n")
    assert main(["--check", "--repository", str(tmp_path)]) == 1
    assert [path.name for path in write(tmp_path)] == ["attention.py"]
    assert main(["--check", "--repository", str(tmp_path)]) == 0


def test_a_missing_reference_is_named(tmp_path, capsys):
    (tmp_path / "course.toml").write_bytes((REPOSITORY / "course.toml").read_bytes())
    assert main(["--repository", str(tmp_path)]) == 2
    assert "attention.py is missing" in capsys.readouterr().err


def test_an_unknown_figure_is_refused():
    finished = subprocess.run(
        [sys.executable, "-m", "autograder.authoring.figures", "nothing"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert "no assignment 'nothing'" in finished.stderr
