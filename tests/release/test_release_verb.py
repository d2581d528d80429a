"""`autograder release` from the command line: what it says and with which code it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autograder.cli import main


def run(toy: Any, *arguments: str) -> int:
    return main(["release", *arguments, "--course", str(toy.course)])


def test_it_releases_and_says_what_it_did(toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(toy, str(out)) == 0
    assert (out / "assignments/01_masks/masks.py").is_file()
    assert "1 assignment, " in capsys.readouterr().out
    solution = out / "assignments/01_masks/masks.py"
    solution.write_text("mine")
    (out / "assignments/01_masks/masks.ipynb").unlink()
    toy.write("assignments/01_masks/README.md", "# 01 · Masks\n\nHide the future, once more.\n")
    (toy.folder / "docs/student.md").write_text("shorter")
    assert run(toy, str(out), "--assignment", "masks") == 0
    said = capsys.readouterr().out
    assert "written  assignments/01_masks/README.md" in said
    assert "kept     assignments/01_masks/masks.py: changed by the student" in said
    assert "kept     assignments/01_masks/masks.ipynb: deleted by the student" in said
    assert "2 written, 0 removed, 2 kept" in said
    assert solution.read_text() == "mine"


def test_refusals_are_one_sentence_and_write_nothing(toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.tex").write_text("mine")
    for arguments in ((str(tmp_path / "full"),), (str(tmp_path / "out"), "--assignment", "knitting"), (str(tmp_path / "out"), "--check")):
        assert run(toy, *arguments) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"course", "full"}


def test_check_looks_through_a_folder_that_somebody_edited(toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    run(toy, str(out))
    assert run(toy, str(out), "--check") == 0
    assert "none of them not for students" in capsys.readouterr().out
    (out / "docs/notes.txt").write_bytes((toy.folder / "reference_solutions/masks.py").read_bytes())
    (out / "docs/answers").symlink_to(toy.folder / "reference_solutions")
    (out / ".venv").mkdir()
    assert run(toy, str(out), "--check") == 1
    said = capsys.readouterr().out
    assert "docs/notes.txt holds a part of the reference solution reference_solutions/masks.py" in said
    assert "docs/answers is a link that leads out of the folder" in said
    assert ".venv was not looked at" in said
