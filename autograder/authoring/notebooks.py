"""Make the notebook form of an assignment from its reference solution and its handout.

Cells that carry `metadata.nbgrader` make up the solution's file when they are put one after the other; cells tagged
"practice" (checking, drawing) are no part of it.
"""

from __future__ import annotations

import ast
import re
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.authoring.stubs import find_regions, stub_source

PRACTICE_TAG = "practice"

_CHECKING = "How to check your work"
_DRAWING = "Draw it"
_AFTER_THE_CODE = (_CHECKING, _DRAWING, "What the points are for", "Further reading")
_CODE_FENCE = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)

_CHECK_TEXT = """## {checking}

Run all cells above, then this one. It runs the public tests on the functions and classes of this notebook and says in words
what is wrong and where. Save the notebook before you hand it in."""

_CHECK_CODE = """import sys
from pathlib import Path

repository = next(folder for folder in Path.cwd().resolve().parents if (folder / "autograder" / "checking").is_dir())
if str(repository) not in sys.path:
    sys.path.insert(0, str(repository))

from autograder.checking.check import check_notebook

check_notebook("{name}", globals())"""


def notebook_source(name: str, reference_source: str, handout: str) -> str:
    """Text of NAME.ipynb. The same input gives the same bytes."""
    title, sections = split_handout(handout)
    cells = [_text("handout", title)]
    cells += [_text(_slug(heading), text) for heading, text in sections.items() if heading not in _AFTER_THE_CODE]
    cells += _code_cells(reference_source)
    if _CHECKING in sections:
        cells.append(_text("check-text", _CHECK_TEXT.format(checking=_CHECKING)))
        cells.append(_practice("check", _CHECK_CODE.format(name=name)))
    cells += _drawing_cells(sections.get(_DRAWING, ""))
    cells += [_text(_slug(heading), sections[heading]) for heading in _AFTER_THE_CODE[2:] if heading in sections]
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook = new_notebook(cells=cells, metadata=metadata)
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)
    return text.rstrip("\n") + "\n"


def split_handout(handout: str) -> tuple[str, dict[str, str]]:
    """The part before the first `## ` heading, and the sections by heading, each with its heading line."""
    parts = re.split(r"^(?=## )", handout, flags=re.MULTILINE)
    sections = {part.splitlines()[0].removeprefix("## ").strip(): part.strip() for part in parts[1:]}
    return parts[0].strip(), sections


def _code_cells(reference_source: str) -> list[Any]:
    """The stub in cells: the imports first, then one for each function or class; what is given is read-only."""
    stub = stub_source(reference_source)
    to_write = {region.function.split(".")[0] for region in find_regions(reference_source) if region.function}
    lines = stub.splitlines()
    imports: list[str] = []
    cells = []
    done = 0  # lines of the stub that have a cell; comments go with the statement after them
    for statement in ast.parse(stub).body:
        text = "\n".join(lines[done : statement.end_lineno]).strip("\n")
        done = statement.end_lineno or done
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # the docstring; the handout says the same
        if isinstance(statement, ast.Import | ast.ImportFrom):
            imports.append(text)
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name in to_write:
            cells.append(_solution(statement.name, text))
        else:
            cells.append(_given(getattr(statement, "name", f"given-{statement.lineno}"), text))
    return [_given("imports", "\n".join(imports)), *cells]


def _drawing_cells(section: str) -> list[Any]:
    cells = []
    for number, part in enumerate(_CODE_FENCE.split(section.strip() + "\n" if section else "")):
        if part.strip():
            cells.append(_practice(f"draw-{number}", part.strip()) if number % 2 else _text(f"draw-text-{number}", part.strip()))
    return cells


def _solution(grade_id: str, source: str) -> Any:
    return new_code_cell(source, id=grade_id, metadata={"nbgrader": _nbgrader(grade_id, solution=True)})


def _given(grade_id: str, source: str) -> Any:
    metadata = {"nbgrader": _nbgrader(grade_id, solution=False), "editable": False, "deletable": False}
    return new_code_cell(source, id=grade_id, metadata=metadata)


def _practice(cell_id: str, source: str) -> Any:
    return new_code_cell(source, id=cell_id, metadata={"tags": [PRACTICE_TAG]})


def _text(cell_id: str, source: str) -> Any:
    return new_markdown_cell(source, id=cell_id)


def _nbgrader(grade_id: str, *, solution: bool) -> dict[str, object]:
    return {
        "schema_version": 3,
        "grade_id": grade_id,
        "solution": solution,
        "grade": False,
        "locked": not solution,
        "task": False,
        "cell_type": "code",
    }


def _slug(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")[:64]
