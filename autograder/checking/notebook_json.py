"""A notebook's file as its cells, whatever its format, its editor or its author did to it.

Cost is bounded before anything is built: a file of 64 MB whose JSON would become too many objects is refused. Measured, the
worst that passes takes about 800 MB for a moment, an honest notebook with 50 MB of pictures about 150 MB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_NOTEBOOK_BYTES = 64 << 20
_MAX_OBJECT_BYTES = 400 << 20
_MAX_CELLS = 10_000
MAX_CODE = 300_000  # characters in all cells: what parsing them may cost, 250 MB and seconds at the worst, stays small
_OBJECT_BYTES = {"{": 200, "[": 90, ",": 70, ":": 100}  # what Python makes of each outside of a string, at most
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_MERGE_MARK = re.compile(r"^(?:<<<<<<<|>>>>>>>) ", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z_][\w.\-]{0,59}", re.ASCII)
_LANGUAGE = re.compile(r"[\w+#. -]{1,30}", re.ASCII)


class NotebookError(Exception):
    """A notebook that holds no solution that can be read. `str()` completes "attention.ipynb …"."""


class NoJSONError(NotebookError):
    """The file is no JSON at all."""


@dataclass(frozen=True)
class Cell:
    """`number` counts all cells from 1. nbgrader is None where its metadata is missing."""

    number: int
    kind: str  # code, markdown, raw …
    source: str
    nbgrader: Mapping[str, Any] | None = None
    practice: bool = False

    @property
    def grade_id(self) -> str:
        """nbgrader's name of the cell where it can be shown to anybody, else ""."""
        found = self.nbgrader.get("grade_id") if self.nbgrader is not None else None
        return found if isinstance(found, str) and _PLAIN.fullmatch(found) else ""


@dataclass(frozen=True)
class Cells:
    """`remarks`: sentences about the file as a whole. `language` is "" for Python and where none is named."""

    cells: tuple[Cell, ...]
    remarks: tuple[str, ...] = ()
    language: str = ""


def load_cells(text: str) -> Cells:
    """Raises NotebookError."""
    notebook = load_json(text)
    if not isinstance(notebook, dict):
        raise NotebookError("is not a notebook of format 4: it has no list of cells; save it with a current Jupyter.")
    version = notebook.get("nbformat")
    known = version if isinstance(version, int) and not isinstance(version, bool) and 0 < version < 1000 else None
    raw, remarks = notebook.get("cells"), []
    if not isinstance(raw, list) and isinstance(notebook.get("worksheets"), list):
        sheets = [sheet.get("cells") for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        raw = [cell for cells in sheets if isinstance(cells, list) for cell in cells] if sheets else None
        remarks.append(f"The notebook is of the old format {known or 3}; its cells were read all the same.")
    elif known is not None and known > 4:
        remarks.append(f"The notebook says that it is of format {known}, newer than 4; its cells were read as those of format 4.")
    if not isinstance(raw, list):
        if known is not None and known > 4:
            raise NotebookError(f"is a notebook of format {known}, which is newer than 4 and cannot be read; save it with a current Jupyter.")
        raise NotebookError("is not a notebook of format 4: it has no list of cells; save it with a current Jupyter.")
    if len(raw) > _MAX_CELLS:
        raise NotebookError(f"holds {len(raw):,} cells, more than {_MAX_CELLS:,}; take out what is not needed.")
    cells = tuple(_cell(number, cell) for number, cell in enumerate(raw, 1) if isinstance(cell, dict))
    if sum(len(cell.source) for cell in cells if cell.kind == "code") > MAX_CODE:
        raise NotebookError(f"holds more than {MAX_CODE:,} characters of code; take out what is not needed.")
    return Cells(cells, tuple(remarks), _language(notebook))


def load_json(text: str) -> Any:
    """The file's JSON. Raises NotebookError when it is none, or would cost too much memory."""
    if _weight(text) > _MAX_OBJECT_BYTES and _exceeds(text, _MAX_OBJECT_BYTES):
        raise NotebookError("holds too many numbers or objects to be read; clear the outputs of its largest cells, save it and hand it in again.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_json(text, error) from None


def _no_json(text: str, error: Exception) -> NotebookError:
    if _MERGE_MARK.search(text):
        return NotebookError("holds the marks of a merge that was not finished (<<<<<<<, >>>>>>>); resolve it, open the notebook once and save it.")
    if text.lstrip()[:1] == "<":
        return NotebookError("is a web page and not a notebook; download the notebook itself (on GitHub: Raw) and hand that in.")
    if isinstance(error, json.JSONDecodeError) and text.lstrip()[:1] == "{":
        if (error.pos >= len(text.rstrip()) - 1 and error.msg != "Extra data") or error.msg.startswith("Unterminated"):
            return NotebookError("is not a whole notebook: its JSON breaks off at the end of the file; save or upload it again.")
        return NotebookError(f"is not a notebook: its JSON is broken in line {error.lineno:,}; open it in Jupyter and save it again.")
    return NoJSONError("is not a notebook: it does not hold JSON.")


def _weight(text: str) -> int:
    return sum(cost * text.count(character) for character, cost in _OBJECT_BYTES.items())


def _exceeds(text: str, limit: int) -> bool:
    """The same without what stands in strings; ends as soon as the answer is known."""
    total = done = 0
    for match in _STRING.finditer(text):
        if match.start() == done > 0:  # two strings side by side are no JSON
            return False
        total += _weight(text[done : match.start()])
        done = match.end()
        if total > limit:
            return True
    return total + _weight(text[done:]) > limit


def _cell(number: int, cell: Mapping[str, Any]) -> Cell:
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    nbgrader, tags = metadata.get("nbgrader"), metadata.get("tags")
    kind = cell.get("cell_type")
    return Cell(
        number,
        kind if isinstance(kind, str) else "",
        next((_text(cell[key]) for key in ("source", "input", "code") if key in cell), ""),  # formats 4, 3 and 2, 1
        nbgrader if isinstance(nbgrader, dict) else None,
        isinstance(tags, list) and "practice" in tags,
    )


def _text(source: Any) -> str:
    text = "".join(line for line in source if isinstance(line, str)) if isinstance(source, list) else source
    return text.replace("\r\n", "\n").replace("\r", "\n") if isinstance(text, str) else ""


def _language(notebook: Mapping[str, Any]) -> str:
    metadata = notebook.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    for part, key in (("language_info", "name"), ("kernelspec", "language")):
        holder = metadata.get(part)
        name = holder.get(key) if isinstance(holder, dict) else None
        if isinstance(name, str) and name.strip():
            if "python" in name.lower():
                return ""
            return name.strip() if _LANGUAGE.fullmatch(name.strip()) else "another language"
    return ""
