"""Answers to the questions that a person grades, read from a submitted notebook: data only, bounded, and not cleaned.

What an answer holds is as hostile as its student likes; it is made inert where it is shown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.checking.notebook_json import MAX_NOTEBOOK_BYTES, NotebookError, load_json
from autograder.submissions.read import RefusedError, _open_folder, read_plain_file

_MAX_SOURCE = 200_000  # characters of one answer
_MAX_OUTPUTS = 200  # of one answer
_MAX_OUTPUT = 8 << 20  # characters of JSON, of one output or of the attachments of one answer
_MAX_TOTAL = 32 << 20  # of all answers of a notebook


@dataclass(frozen=True)
class Answer:
    """One answer cell: its text, what it drew or printed, and what was pasted into it."""

    source: str
    outputs: tuple[dict[str, Any], ...] = ()
    attachments: dict[str, Any] = field(default_factory=dict)


def read_answers(folder: Path, name: str, max_bytes: int = MAX_NOTEBOOK_BYTES) -> dict[str, Answer]:
    """The answer cells of NAME.ipynb in a submission's folder, by grade_id; {} when there is no notebook that can be read.

    Of several cells with one grade_id the first counts. What is too large is left out; a line in its place says so. Nothing is
    followed out of the folder.
    """
    try:
        opened = _open_folder(folder)
    except (OSError, RefusedError):
        return {}
    try:
        notebook = load_json(read_plain_file(opened, f"{name}.ipynb", max_bytes).decode("utf-8-sig"))
    except (OSError, RefusedError, UnicodeDecodeError, NotebookError):
        return {}
    finally:
        os.close(opened)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    answers: dict[str, Answer] = {}
    room = _Room()
    for cell in cells if isinstance(cells, list) else ():
        grade_id = _grade_id(cell)
        if grade_id is not None and grade_id not in answers:
            answers[grade_id] = _answer(cell, room)
    return answers


def _grade_id(cell: Any) -> str | None:
    """The name of an answer cell: one that is graded and is the student's to write."""
    metadata = cell.get("metadata") if isinstance(cell, dict) else None
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    if not isinstance(nbgrader, dict) or not (nbgrader.get("grade") and nbgrader.get("solution")):
        return None
    grade_id = nbgrader.get("grade_id")
    return grade_id if isinstance(grade_id, str) else None


class _Room:
    """What all answers of a notebook together may still hold."""

    def __init__(self) -> None:
        self._left = _MAX_TOTAL

    def holds(self, value: Any) -> bool:
        try:
            size = len(json.dumps(value))
        except (ValueError, RecursionError):
            return False
        if size > min(_MAX_OUTPUT, self._left):
            return False
        self._left -= size
        return True


def _answer(cell: Mapping[str, Any], room: _Room) -> Answer:
    source, outputs, attachments = cell.get("source"), cell.get("outputs"), cell.get("attachments")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    source = source if isinstance(source, str) else ""
    if len(source) > _MAX_SOURCE:
        source = f"{source[:_MAX_SOURCE]}\n[… {len(source) - _MAX_SOURCE:,} more characters]"
    given = [output for output in outputs if isinstance(output, dict)] if isinstance(outputs, list) else []
    kept = [output if room.holds(output) else _left_out("An output that is too large was left out.") for output in given[:_MAX_OUTPUTS]]
    if len(given) > _MAX_OUTPUTS:
        kept.append(_left_out(f"{len(given) - _MAX_OUTPUTS:,} more outputs were left out."))
    return Answer(
        source if room.holds(source) else "[An answer that is too large was left out.]",
        tuple(kept),
        attachments if isinstance(attachments, dict) and room.holds(attachments) else {},
    )


def _left_out(words: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": f"[{words}]\n"}
