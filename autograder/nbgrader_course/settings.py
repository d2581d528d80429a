"""The nbgrader_config.py of a course folder that `autograder formgrader` makes."""

from __future__ import annotations

import os
from pathlib import Path

from autograder.grading.task import SandboxMode
from autograder.results.atomic import LedgerError

CONFIG = "nbgrader_config.py"
_MARK = "# `autograder formgrader` writes this file. Delete this line to keep changes of your own.\n"


def write_settings(folder: Path, course: Path, results: Path, gradebook: str, roster: Path | None, sandbox: SandboxMode | None) -> bool:
    """Write nbgrader's settings for the folder; False when there are some of the instructor's own. Raises LedgerError.

    The file may hold the gradebook's password: nobody but its owner can read it.
    """
    path = folder / CONFIG
    options = {
        "folder": str(folder),
        "results": str(results.absolute()),
        "gradebook": gradebook,
        "roster": str(roster.absolute()) if roster else None,
        "sandbox": sandbox,
    }
    text = _MARK + (
        "from autograder.nbgrader_course.config import configure\n\n"
        "c = get_config()\n"
        "# `nbgrader autograde` grades in the sandbox: without this line it would run what students wrote, here, as you.\n"
        f"configure(c, {str(course.absolute())!r}, {', '.join(f'{name}={value!r}' for name, value in options.items())})\n"
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
