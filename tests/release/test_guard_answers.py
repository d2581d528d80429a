"""Model answers to hand-graded questions never reach students; what is asked, and how it is graded, does."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from autograder.release.errors import ReleaseError
from autograder.release.guard import Guard
from autograder.release.secrets import Secrets, read_secrets

from .test_guard import REPOSITORY, as_notebook, as_zip, in_a_handout

QUESTIONS = sorted((REPOSITORY / "reference_solutions" / "questions").glob("*.md"))
DISGUISES = {
    "as it is": lambda text: text.encode(),
    "in a handout": in_a_handout,
    "in a notebook": lambda text: json.dumps({"cells": [{"cell_type": "markdown", "source": [text]}], "nbformat": 4}).encode(),
    "in a notebook's output": lambda text: as_notebook(text, "output"),
    "in a zip file": as_zip,
    "base64": lambda text: base64.encodebytes(text.encode()),
}


def question(answer: str, prompt: str = "Why is there a scale, and what would happen without one?") -> str:
    return f"## scale · text · 2 points\n{prompt}\n### Rubric\n- 2 points: names the growth of the variance with the width\n### Answer\n{answer}\n"


@pytest.mark.parametrize("disguise", DISGUISES)
def test_every_model_answer_is_found(guard: Guard, secrets: Secrets, disguise: str) -> None:
    assert len(secrets.answers) >= 2 * len(QUESTIONS)
    for answer in secrets.answers:
        assert guard.look({"holiday.bin": DISGUISES[disguise]("Look:\n\n" + answer.prose)}), str(answer)


def test_each_sentence_of_a_model_answer_is_found(guard: Guard, secrets: Secrets) -> None:
    """In a text of its own, with one letter more on each side, as letters alone: spaces, marks and capitals hide nothing."""
    pages = {f"{number}-{index}.md": f"x {said} y".encode() for number, a in enumerate(secrets.answers) for index, said in enumerate(a.sentences())}
    shared = [path for path in pages if path not in {finding.path for finding in guard.look(pages)}]
    assert len(pages) > 100
    assert len(shared) <= 0.02 * len(pages), shared  # a sentence that prompt or rubric says as well is no secret


def test_the_code_of_a_model_answer_is_found(guard: Guard, secrets: Secrets) -> None:
    code = [block for answer in secrets.answers for block in answer.code]
    assert len(code) >= len(QUESTIONS)
    for block in code:
        assert guard.look({"draw.py": block.encode()}), block


def test_what_is_asked_and_how_it_is_graded_is_no_secret(guard: Guard, secrets: Secrets) -> None:
    assert secrets.questions
    assert guard.look({f"{number}.md": text.encode() for number, text in enumerate(secrets.questions)}) == []


def test_numbers_alone_are_told(toy: Any, tmp_path: Path) -> None:
    toy.write("reference_solutions/questions/masks.md", question("$2 × 768^2 = 1{,}179{,}648$"))
    toy.write("assignments/01_masks/README.md", "# 01 · Masks\n\nThe answer is 2 × 768^2 = 1,179,648, of course.\n")
    with pytest.raises(ReleaseError, match=r"README\.md holds a sentence of the model answer to 'scale' in reference_solutions/questions/masks\.md"):
        toy.release(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("answer", ["Yes.", "Why is there a scale, and what would happen without one?"])
def test_an_answer_that_nobody_would_see_leak_stops_the_release(toy: Any, tmp_path: Path, answer: str) -> None:
    toy.write("reference_solutions/questions/masks.md", question(answer))
    with pytest.raises(ReleaseError, match="no sentence of its own"):
        toy.release(tmp_path / "out")


def test_a_file_of_questions_that_cannot_be_read_stops_the_release(toy: Any, tmp_path: Path) -> None:
    toy.write("reference_solutions/questions/masks.md", "## scale · text · many points\nWhy?\n### Answer\nBecause of it.\n")
    with pytest.raises(ReleaseError, match=r"model answers cannot be kept back: masks\.md, line 1"):
        read_secrets(toy.folder)
