"""A student's day in a release: its own checking tool, run as on a machine that has nothing else of the course."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in `folder` with the installed libraries, but without what an editable install of the course would add."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    environment |= {"PYTHONPATH": sysconfig.get_path("purelib"), "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def desk(released: Path, tmp_path: Path) -> Path:
    """A copy of the release, with two assignments to keep the runs short."""
    copy = tmp_path / "desk"
    shutil.copytree(released, copy, ignore=shutil.ignore_patterns("0[3-9]_*", "10_*"))
    return copy


def test_it_is_the_release_s_own_tool_that_runs(desk: Path) -> None:
    answer = python(desk, "-c", "import autograder.checking.check_find as check; print(check.__file__)")
    assert Path(answer.stdout.strip()) == desk / "autograder/checking/check_find.py", answer.stderr
    answer = python(desk, "-c", "import autograder.grading")
    assert "No module named 'autograder.grading'" in answer.stderr


def test_the_stub_is_to_do(desk: Path) -> None:
    answer = python(desk, "-m", "autograder.checking.check", "attention")
    assert answer.returncode == 1, answer.stderr
    assert "not implemented yet: padding_mask" in answer.stdout
    assert "0 of 7 public tests pass" in answer.stdout


def test_a_right_solution_passes(desk: Path) -> None:
    shutil.copy(REPOSITORY / "reference_solutions/attention.py", desk / "assignments/01_attention/attention.py")
    answer = python(desk, "-m", "autograder.checking.check", "01")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "7 of 7 public tests pass" in answer.stdout


def test_half_done_work_and_a_notebook_have_a_practice_score(desk: Path) -> None:
    stub = desk / "assignments/01_attention/attention.py"
    text = stub.read_text(encoding="utf-8")
    stub.write_text(text.replace('raise NotImplementedError("not implemented yet: padding_mask")', "return token_ids == pad_id"), encoding="utf-8")
    (desk / "assignments/02_positional_encoding/positional_encoding.py").unlink()
    answer = python(desk, "-m", "autograder.checking.practice")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("## Practice score: 1 of 14 public tests pass")
    assert "not your grade" in answer.stdout
    assert "| 1 of 7 | write what comes first&#58; causal&#95;mask" in answer.stdout
    assert "| 02&#95;positional&#95;encoding | to do |" in answer.stdout


def test_plain_pytest_runs_the_public_tests(desk: Path) -> None:
    shutil.copy(REPOSITORY / "reference_solutions/attention.py", desk / "assignments/01_attention/attention.py")
    answer = python(desk, "-m", "pytest", "-q", "assignments/01_attention")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "7 passed" in answer.stdout


def test_the_notebook_checks_itself(desk: Path) -> None:
    folder = desk / "assignments/01_attention"
    cells = json.loads((folder / "attention.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code" and not cell["id"].startswith("draw")]
    (folder / "cells.py").write_text("\n\n".join(code), encoding="utf-8")
    answer = python(folder, "cells.py")
    assert "0 of 7 public tests pass" in answer.stdout, answer.stderr


def test_the_bootstrap_knows_the_release_s_own_environment(desk: Path) -> None:
    """Nothing is installed here: the stamp says that all is there already."""
    code = (
        "import autograder.bootstrap as b; b.ENVIRONMENT.mkdir(); b._stamp('').write_text(b._wanted());"
        "assert b.REPOSITORY == __import__('pathlib').Path.cwd(); raise SystemExit(b.main([]))"
    )
    answer = python(desk, "-c", code)
    assert answer.returncode == 0, answer.stdout + answer.stderr
