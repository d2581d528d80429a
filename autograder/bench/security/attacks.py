"""What is tried on each grader: files that are appended to a wrong solution, and changes of a handed-in notebook."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from autograder.grading.paths import REPOSITORY

FOLDER = REPOSITORY / "tests" / "bench" / "attacks"
RED_TEAM = REPOSITORY / "tests" / "red_team" / "submissions"
OURS, NBGRADER, OTTER, PYTEST = "this grader", "nbgrader", "otter", "pytest"
GRADERS = (OURS, NBGRADER, OTTER, PYTEST)
HONEST = "an honest wrong answer"

# Attacks of the red team that do not aim at this grader's own parts.
_SHARED = """forge_agreeable_objects forge_equal_outputs forge_tensor_subclasses forge_nan forge_stretchable_shapes forge_other_dtypes
forge_pytest_exceptions ban_called_plainly""".split()

Notebook = dict[str, Any]


@dataclass(frozen=True)
class Attack:
    """`code` follows a wrong solution; `change` is made to the notebook that holds it. twice: what it leaves is meant for the next run."""

    name: str
    aim: str
    code: str = ""
    change: Callable[[Notebook], Notebook] | None = None
    graders: tuple[str, ...] = GRADERS
    twice: bool = False

    def source(self, places: dict[str, str]) -> str:
        """The file that is handed in. `places`: what stands for @NAME@."""
        text = f"{_base()}\n\n{(FOLDER / '_prelude.py').read_text(encoding='utf-8')}\n\n{self.code}"
        for name, value in places.items():
            text = text.replace(f"@{name}@", value)
        return text


def honest() -> Attack:
    return Attack(HONEST, "what every attack is appended to")


@cache
def load_attacks() -> dict[str, Attack]:
    paths = [path for path in sorted(FOLDER.glob("*.py")) if not path.stem.startswith("_")]
    files = [*paths, *(RED_TEAM / f"{name}.py" for name in _SHARED)]
    return {path.stem: _read(path) for path in files} | {attack.name: attack for attack in _of_notebooks()}


def _read(path: Path) -> Attack:
    text = path.read_text(encoding="utf-8")
    head = re.match(r'"""(.*?)"""', text, re.DOTALL)
    first, _, rest = (head[1] if head else "").strip().partition("\n")
    applies = re.search(r"applies to: ([a-z, ]+)", rest)
    graders = tuple(applies[1].strip().split(", ")) if applies else GRADERS
    return Attack(path.stem, first, text, graders=graders, twice="graded twice" in rest)


def _base() -> str:
    return (RED_TEAM / "_zeros_attention.py").read_text(encoding="utf-8")


def _of_notebooks() -> list[Attack]:
    def each_test(change: Callable[[dict[str, Any]], None]) -> Callable[[Notebook], Notebook]:
        def changed(notebook: Notebook) -> Notebook:
            notebook = copy.deepcopy(notebook)
            for cell in notebook["cells"][1:]:
                change(cell)
            return notebook

        return changed

    def more_points(cell: dict[str, Any]) -> None:
        cell["metadata"]["nbgrader"] |= {"points": 100, "locked": False}

    def emptied(cell: dict[str, Any]) -> None:
        cell["source"] = "pass"

    def solution(cell: dict[str, Any]) -> None:
        cell["source"] = "pass"
        cell["metadata"]["nbgrader"] |= {"solution": True, "locked": False, "checksum": "0" * 32}

    def deleted(notebook: Notebook) -> Notebook:
        return {**notebook, "cells": notebook["cells"][:1]}

    def doubled(notebook: Notebook) -> Notebook:
        notebook = copy.deepcopy(notebook)
        tests = copy.deepcopy(notebook["cells"][1:])
        for cell in tests:
            cell["source"], cell["id"] = "pass", f"copy-{cell['id']}"[:64]
        return {**notebook, "cells": [notebook["cells"][0], *tests, *notebook["cells"][1:]]}

    both = (OURS, NBGRADER)
    return [
        Attack("notebook_points_raised", "Writes 100 points into the metadata of every test cell.", change=each_test(more_points), graders=both),
        Attack("notebook_tests_emptied", "Empties the test cells of the notebook that it hands in.", change=each_test(emptied), graders=both),
        Attack("notebook_tests_as_solutions", "Marks the test cells as its own solutions, empty.", change=each_test(solution), graders=both),
        Attack("notebook_tests_deleted", "Hands in a notebook without test cells.", change=deleted, graders=both),
        Attack("notebook_tests_doubled", "Puts an empty copy with the same id before every test cell.", change=doubled, graders=both),
    ]
