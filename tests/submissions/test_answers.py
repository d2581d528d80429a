"""Answers in a submitted notebook: what counts as one, and that no notebook stops the reading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autograder.submissions.answers import Answer, read_answers

OUTPUT = {"output_type": "stream", "name": "stdout", "text": "x"}


def _cell(grade_id: object = "question-a", grade: object = True, solution: object = True, **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": grade_id, "grade": grade, "solution": solution}}, "source": "draw()", **more}


def _read(folder: Path, notebook: Any, **limits: int) -> dict[str, Answer]:
    folder = folder / "ann" / "01_attention"
    folder.mkdir(parents=True)
    text = notebook if isinstance(notebook, str) else json.dumps(notebook)
    (folder / "attention.ipynb").write_text(text)
    return read_answers(folder, "attention", **limits)


def test_answer_cells_are_found_by_their_grade_id_and_the_first_of_two_counts(tmp_path: Path) -> None:
    cells = [
        _cell(source=["draw(", "1)"], outputs=[OUTPUT], attachments={"a.png": {}}),
        _cell(source="a copy"),
        _cell("question-b", cell_type="markdown", source="Because."),
        _cell("test_x", solution=False),
        _cell("solution", grade=False),
    ]
    assert _read(tmp_path, {"cells": cells}) == {
        "question-a": Answer("draw(1)", (OUTPUT,), {"a.png": {}}),
        "question-b": Answer("Because."),
    }


@pytest.mark.parametrize(
    "notebook",
    ["", "no JSON", "[" * 100_000, "[]", {}, {"cells": 3}, {"cells": [3, {}, {"metadata": 3}, {"metadata": {"nbgrader": []}}, _cell(["x"])]}],
)
def test_what_is_no_notebook_has_no_answers(tmp_path: Path, notebook: Any) -> None:
    assert _read(tmp_path, notebook) == {}


def test_an_answer_of_strange_parts_is_an_empty_one(tmp_path: Path) -> None:
    assert _read(tmp_path, {"cells": [_cell(source=[3, {}], outputs=[3, "x"], attachments=[1])]}) == {"question-a": Answer("")}


def test_what_is_too_large_missing_or_a_link_has_no_answers(tmp_path: Path) -> None:
    assert _read(tmp_path, {"cells": [_cell()]}, max_bytes=20) == {}
    assert read_answers(tmp_path / "none" / "01_attention", "attention") == {}
    (tmp_path / "ben").mkdir()
    (tmp_path / "ben" / "01_attention").symlink_to(tmp_path / "ann" / "01_attention")
    assert read_answers(tmp_path / "ben" / "01_attention", "attention") == {}
    assert read_answers(tmp_path / "ann" / "01_attention", "attention")


def test_outputs_are_bounded_one_by_one_and_together(tmp_path: Path) -> None:
    large, fitting = {"text": "x" * (9 << 20)}, {"text": "x" * (7 << 20)}
    found = _read(
        tmp_path,
        {
            "cells": [
                _cell(source="y" * 300_000, outputs=[large, *[fitting] * 5]),
                _cell("question-b", outputs=[OUTPUT] * 300, attachments={"a": "x" * (9 << 20)}),
            ]
        },
    )
    a, b = found["question-a"], found["question-b"]
    assert [output == fitting for output in a.outputs] == [False, True, True, True, True, False]
    assert "too large was left out" in a.outputs[0]["text"]
    assert a.source.endswith("[… 100,000 more characters]")
    assert len(b.outputs) == 201
    assert b.outputs[-1]["text"] == "[100 more outputs were left out.]\n"
    assert b.attachments == {}


def test_a_notebook_that_would_fill_the_memory_has_no_answers(tmp_path: Path) -> None:
    assert _read(tmp_path, f'{{"cells": [{json.dumps(_cell())}], "x": [{"{}," * 3_000_000}{{}}]}}') == {}
