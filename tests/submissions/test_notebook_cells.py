"""What is taken out of a submitted notebook, and what is left in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autograder.checking.notebook import NotebookError, solution_source


def course_cell(source: Any, grade_id: str = "padding_mask") -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {"nbgrader": {"grade_id": grade_id, "solution": True}}}


def own_cell(source: Any, **metadata: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": metadata}


def solution(*cells: Any) -> str:
    return solution_source(json.dumps({"cells": list(cells), "nbformat": 4}))


def test_cells_of_the_course_are_taken_in_order_and_others_left() -> None:
    found = solution(
        course_cell("import torch", "imports"),
        own_cell("print(1)"),
        {"cell_type": "markdown", "source": "x = 1"},
        course_cell(["def f():\n", "    return 1"]),
    )
    assert found == "import torch\n\n\ndef f():\n    return 1\n"


def test_a_solution_in_a_practice_cell_is_not_taken() -> None:
    stub = "def f():\n    raise NotImplementedError"
    assert solution(course_cell(stub), own_cell("def f():\n    return 1", tags=["practice"])) == stub + "\n"
    assert solution(own_cell("def g():\n    return 1"), own_cell("def f():\n    return 1", tags=["practice"])) == "def g():\n    return 1\n"


def test_changed_repeated_and_missing_grade_ids_change_nothing() -> None:
    found = solution(
        course_cell("a = 1", "x" * 10_000), course_cell("b = 2", "same"), course_cell("c = 3", "same"), course_cell("d = 4", ["no", "text"])
    )  # type: ignore[arg-type]
    assert found.split("\n\n\n") == ["a = 1", "b = 2", "c = 3", "d = 4\n"]


def test_without_any_metadata_cells_that_define_are_taken_and_cells_that_run_are_not() -> None:
    assert solution(own_cell("import torch"), own_cell("f(3)"), own_cell("for _ in range(3): pass"), own_cell("def f(x):\n    return x")) == (
        "import torch\n\n\ndef f(x):\n    return x\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        "%matplotlib inline", "%load_ext evil", "!rm -rf /", "!!ls", "  %time f()", "%run other.ipynb", "f?", "torch.nn??", "?f", "%cd ..",
        "%env PATH=x", "!pip install cheat",
    ],
)  # fmt: skip
def test_magics_and_shell_lines_are_dropped(line: str) -> None:
    assert solution(course_cell(f"{line}\ndef f():\n    return 1")) == "def f():\n    return 1\n"


def test_lines_that_only_look_like_magics_stay() -> None:
    source = 'def f(a, b):\n    text = """\n%d items\n!\n"""\n    return (a\n        % b), text'
    assert solution(course_cell(source)) == source + "\n"


@pytest.mark.parametrize(
    ("first", "kept"), [("%%time", True), ("%%capture out", True), ("%%bash", False), ("%%writefile conftest.py", False), ("%%html", False)]
)
def test_a_cell_magic_that_runs_something_else_takes_its_cell_along(first: str, kept: bool) -> None:
    found = solution(course_cell("a = 1"), course_cell(f"{first}\nb = 2"))
    assert ("b = 2" in found) is kept
    assert "%" not in found


def test_line_ends_of_another_system_are_no_part_of_the_code() -> None:
    assert solution(course_cell("def f():\r\n    return 1\r")) == "def f():\n    return 1\n"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", "3", "not JSON", '{"cells": 3}', '{"cells": {}}', '{"cells": []}', '{"worksheets": []}', "[" * 100_000,
        '{"a":' * 50_000,
        "9" * 10_000, '{"cells": [null, 3, "x", [], {}]}', '{"cells": [{"cell_type": "code"}]}',
        '{"cells": [{"cell_type": "code", "source": {"a": 1}}]}',
        '{"cells": [{"cell_type": "code", "source": [1, null]}]}', '{"cells": [{"cell_type": "code", "source": "a = 1", "metadata": 7}, 1]} x',
    ],
)  # fmt: skip
def test_what_is_no_notebook_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(NotebookError) as caught:
        solution_source(text)
    assert str(caught.value).startswith(("is not a notebook", "holds no solution cell"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_characters_that_no_file_can_hold_are_refused(character: str) -> None:
    with pytest.raises(NotebookError, match="no Python file can hold"):
        solution(course_cell(f"a = '{character}'"))


def test_a_cell_that_hurts_a_parser_is_passed_on_to_the_worker() -> None:
    hostile = "x = " + "-" * 100_000 + "1"
    assert hostile in solution(own_cell(hostile))
    assert hostile in solution(course_cell(hostile))
