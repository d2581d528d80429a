"""nbgrader's commands in this process, and what they leave in the gradebook."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from jupyter_core.application import NoStart
from nbgrader.apps import NbGraderApp
from nbgrader.apps.api import NbGraderAPI

_GRADES = """SELECT submitted_assignment.student_id, base_cell.name, auto_score, manual_score, extra_credit, needs_manual_grade
    FROM grade JOIN base_cell ON base_cell.id = grade.cell_id JOIN submitted_notebook ON submitted_notebook.id = grade.notebook_id
    JOIN submitted_assignment ON submitted_assignment.id = submitted_notebook.assignment_id ORDER BY 1, 2"""
_COMMENTS = """SELECT submitted_assignment.student_id, base_cell.name, auto_comment, manual_comment
    FROM comment JOIN base_cell ON base_cell.id = comment.cell_id JOIN submitted_notebook ON submitted_notebook.id = comment.notebook_id
    JOIN submitted_assignment ON submitted_assignment.id = submitted_notebook.assignment_id ORDER BY 1, 2"""
_SUBMISSIONS = """SELECT student_id, timestamp, extension, late_submission_penalty, assignment.name, duedate
    FROM submitted_assignment JOIN submitted_notebook ON submitted_assignment.id = submitted_notebook.assignment_id
    JOIN assignment ON assignment.id = submitted_assignment.assignment_id ORDER BY 1"""


def nbgrader(folder: Path, *arguments: str) -> int:
    """Run a command as if typed in `folder`. Returns the exit code."""
    before = os.getcwd()
    os.chdir(folder)
    app = NbGraderApp()
    try:
        app.initialize(list(arguments))
        app.start()  # ends with one or the other
    except NoStart:
        return 0
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        os.chdir(before)
        for made in (NbGraderApp, type(app.subapp)):  # nbgrader keeps them, with their options
            made.clear_instance()
    raise AssertionError("nbgrader started nothing")


def press_autograde(folder: Path, assignment: str, student: str) -> dict[str, Any]:
    """What formgrader's button does. Returns what its page shows."""
    app = NbGraderApp()
    try:
        app.initialize([f"--course-dir={folder}"])
        answer: dict[str, Any] = NbGraderAPI(app.coursedir, parent=app).autograde(assignment, student, force=True, create=True)
    finally:
        NbGraderApp.clear_instance()
    return answer


def gradebook(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything that scores and feedback depend on."""
    with sqlite3.connect(path) as connection:
        queries = {"grades": _GRADES, "comments": _COMMENTS, "submissions": _SUBMISSIONS}
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}
