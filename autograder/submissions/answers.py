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

from autograder.submissions.read import RefusedError, _open_folder, read_plain_file

NOTEBOOK_BYTES = 50_000_000


@dataclass(frozen=True)
class Answer:
    """One answer cell: its text, what it drew or printed, and what was pasted into it."""

    source: str
    outputs: tuple[dict[str, Any], ...] = ()
    attachments: dict[str, Any] = field(default_factory=dict)


def read_answers(folder: Path, name: str, max_bytes: int = NOTEBOOK_BYTES) -> dict[str, Answer]:
    """The answer cells of NAME.ipynb in a submission's folder, by grade_id; {} when there is no notebook that can be read.

    Of several cells with one grade_id the first counts. Nothing is followed out of the folder.
    """
    try:
        opened = _open_folder(folder)
    except (OSError, RefusedError):
        return {}
    try:
        notebook = json.loads(read_plain_file(opened, f"{name}.ipynb", max_bytes))
    except (OSError, RefusedError, ValueError, RecursionError):
        return {}
    finally:
        os.close(opened)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    answers: dict[str, Answer] = {}
    for cell in cells if isinstance(cells, list) else ():
        grade_id = _grade_id(cell)
        if grade_id is not None and grade_id not in answers:
            answers[grade_id] = _answer(cell)
    return answers


def _grade_id(cell: Any) -> str | None:
    """The name of an answer cell: one that is graded and is the student's to write."""
    metadata = cell.get("metadata") if isinstance(cell, dict) else None
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    if not isinstance(nbgrader, dict) or not (nbgrader.get("grade") and nbgrader.get("solution")):
        return None
    grade_id = nbgrader.get("grade_id")
    return grade_id if isinstance(grade_id, str) else None


def _answer(cell: Mapping[str, Any]) -> Answer:
    source, outputs, attachments = cell.get("source"), cell.get("outputs"), cell.get("attachments")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    return Answer(
        source if isinstance(source, str) else "",
        tuple(output for output in outputs if isinstance(output, dict)) if isinstance(outputs, list) else (),
        attachments if isinstance(attachments, dict) else {},
    )
