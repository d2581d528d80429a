"""The solution inside a submitted notebook: its cells' code, put together without running anything."""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

_MAGIC = re.compile(r"^\s*[%!?]|^\s*[A-Za-z_][\w.]*\?{1,2}\s*$")
_CELL_MAGIC = re.compile(r"\s*%%(\w*).*")
_RUNS_PYTHON = frozenset(["time", "timeit", "capture", "prun"])  # cell magics whose cell is Python all the same
_PRACTICE = "practice"


class NotebookError(Exception):
    """A notebook that holds no solution that can be read. `str()` completes "attention.ipynb …"."""


def solution_source(text: str) -> str:
    """Code of the solution cells in their order.

    Cells that nbgrader's metadata marks as the course's own are taken, or, when an editor lost all metadata, every code cell
    that only imports and defines. Practice cells are left out; magics and shell lines are dropped.
    """
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError):
        raise NotebookError("is not a notebook: it does not hold JSON.") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise NotebookError("is not a notebook of format 4: it has no list of cells; save it with a current Jupyter.")
    code = [cell for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    marked = [cell for cell in code if isinstance(mark := _metadata(cell).get("nbgrader"), dict) and not mark.get("grade")]
    taken = marked or [cell for cell in code if _PRACTICE not in _tags(cell) and _only_defines(_source(cell))]
    parts = [_source(cell) for cell in taken]
    if not any(part.strip() for part in parts):
        raise NotebookError("holds no solution cell; the cells of the course's notebook must stay in it.")
    source = "\n\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"
    if "\0" in source or any("\ud800" <= character <= "\udfff" for character in source):
        raise NotebookError("holds a character that no Python file can hold (NUL, or half of a surrogate pair); write its cell again.")
    return source


def _metadata(cell: dict[str, Any]) -> dict[str, Any]:
    metadata = cell.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _tags(cell: dict[str, Any]) -> list[Any]:
    tags = _metadata(cell).get("tags")
    return tags if isinstance(tags, list) else []


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    text = "".join(line for line in source if isinstance(line, str)) if isinstance(source, list) else source
    if not isinstance(text, str):
        return ""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    cell_magic = _CELL_MAGIC.match(text)
    if cell_magic is not None:
        if cell_magic[1] not in _RUNS_PYTHON:
            return ""
        text = text[cell_magic.end() :]
    if _parsed(text) is not None:
        return text  # a line may begin with % or ! inside brackets or a text
    return "\n".join("" if _MAGIC.match(line) else line for line in text.split("\n"))


def _only_defines(source: str) -> bool:
    tree = _parsed(source)
    if tree is None:
        return True  # the student meant something by it: the error is reported when it is loaded
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return all(isinstance(statement, kinds) for statement in tree.body)


def _parsed(source: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
