"""The nbgrader_config.py of a course folder that `autograder formgrader` makes."""

from __future__ import annotations

import os
from pathlib import Path

from autograder.course.course import Course
from autograder.results.atomic import LedgerError

CONFIG = "nbgrader_config.py"
_MARK = "# `autograder formgrader` writes this file. Delete this line to keep changes of your own.\n"


def refuse(_notebook: object, _resources: object) -> object:
    """In place of nbgrader's own grading, which would run a student's code with the instructor's rights."""
    raise RuntimeError("nbgrader would run this notebook outside the sandbox; grade it with `autograder grade` instead")


def write_settings(folder: Path, course: Course, gradebook: str) -> bool:
    """Write nbgrader's settings for the folder; False when there are some of the instructor's own. Raises LedgerError.

    The file may hold the gradebook's password: nobody but its owner can read it.
    """
    path = folder / CONFIG
    text = _MARK + (
        "c = get_config()\n"
        f"c.CourseDirectory.course_id = {course.id!r}\n"
        f"c.CourseDirectory.root = {str(folder)!r}\n"
        f"c.CourseDirectory.db_url = {gradebook!r}\n"
        "# What was handed in is graded in the sandbox, by `autograder grade`: nbgrader would run it here, as you.\n"
        f"c.Autograde.sanitize_preprocessors = [{__name__ + '.refuse'!r}]\n"
    )
    try:
        if path.is_file() and not path.read_text(encoding="utf-8").startswith(_MARK):
            return False
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path} cannot be written: {error}; check the folder, or name another one with --folder") from error
    return True
