"""The practice score: honest about being practice, safe against what a student's file prints, never a failure of the run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from autograder.checking.practice import main
from autograder.checking.practice_words import MAX_BYTES, Practice, summary

NASTY = "</pre><script>alert(1)</script> | ![x](http://y) `code` @everyone \x1b[31m\x00 ::error::x"


def practise(desk: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.chdir(desk.folder)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    assert main(list(arguments)) == 0
    return capfd.readouterr().out


def test_it_says_that_it_is_practice() -> None:
    text = summary(
        [Practice("01_masks", passed=3, total=3), Practice("02_more", passed=1, total=4, next_step="begin with this", lines=("FAILED  this",))]
    )
    assert text.startswith("## Practice score: 4 of 7 public tests pass")
    assert "not your grade" in text
    assert "| 3 of 3 | all pass; now go through the contract line by line |" in text
    assert "| 1 of 4 | begin with this |" in text
    assert "<pre>\nFAILED  this\n</pre>" in text


def test_what_was_not_begun_is_to_do_and_has_no_details() -> None:
    text = summary([Practice("01_masks", total=3, unwritten=True, next_step="write the mask", lines=("to do",))])
    assert "| to do | write the mask |" in text
    assert "<pre>" not in text


def test_nothing_of_a_student_s_is_read_as_markup() -> None:
    text = summary([Practice(NASTY, passed=0, total=1, next_step=NASTY, lines=(NASTY,)), Practice("02_more", problem=NASTY)])
    rest = text.replace("<pre>", "").replace("</pre>\n", "")
    assert "<" not in rest
    assert "](" not in rest.partition("### ")[0]
    assert "\x1b" not in text
    assert "\x00" not in text
    row = next(line for line in text.splitlines() if "everyone" in line)
    assert row.count("|") == 4


def test_it_stays_below_what_github_takes() -> None:
    many = [Practice(f"{number:02}_{'n' * 50}", total=1, lines=("<" * 5000,) * 4000) for number in range(99)]
    text = summary(many)
    assert len(text.encode()) <= MAX_BYTES < 1 << 20
    assert "the rest is left out" in text


def test_a_loop_costs_its_own_assignment_alone(desk: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    desk.write("while True:\n    pass\n")
    text = practise(desk, monkeypatch, capfd, "--seconds", "1")
    assert "| 01&#95;masks | not run | make it run" in text
    assert "does a loop of it ever end?" in text


@pytest.mark.parametrize("source", ["import os\nprint('::error::x')\nos._exit(0)\n", "def f(:\n"])
def test_a_file_that_does_not_load_is_named(desk: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], source: str) -> None:
    desk.write(source)
    text = practise(desk, monkeypatch, capfd)
    assert "| not run |" in text
    assert "masks.py" in text
    assert "::error" not in text


def test_a_missing_file_is_named(desk: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    desk.solution.unlink()
    assert "masks.py is not there" in practise(desk, monkeypatch, capfd)


def test_without_assignments_there_is_nothing_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_notebook_counts_where_the_file_beside_it_is_still_the_stub(
    desk: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cell = {"cell_type": "code", "source": "!ls\n" + desk.solution.read_text(), "metadata": {"nbgrader": {"grade_id": "masks", "solution": True}}}
    notebook = desk.solution.with_suffix(".ipynb")
    notebook.write_text(json.dumps({"cells": [cell], "nbformat": 4}))
    names = re.findall(r"^def (\w+)", desk.solution.read_text(), re.MULTILINE)
    stub = "".join(f'def {name}(*args):\n    raise NotImplementedError("not implemented yet: {name}")\n' for name in names)
    desk.write(stub)
    assert re.search(r"\| (\d+) of \1 \| all pass", practise(desk, monkeypatch, capfd))
