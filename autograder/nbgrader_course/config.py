"""Settings for an instructor's nbgrader_config.py, by which nbgrader's own commands grade in the sandbox."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from autograder.course.course import CourseError, load_course
from autograder.grading.task import SandboxMode

_PLUGINS = "autograder.nbgrader_course.plugins"
_CLEAR = "autograder.nbgrader_course.clear.ClearSolutions"
# nbgrader's own, with SaveAssignment in place of SaveCells, and ClearSolutions as the course's notebooks need it.
_MAKE_ASSIGNMENT = (
    "IncludeHeaderFooter LockCells ClearSolutions ClearOutput CheckCellMetadata ComputeChecksums ClearHiddenTests ClearMarkScheme ComputeChecksums "
    "CheckCellMetadata"
)


def configure(
    c: Any,
    course: str | Path,
    *,
    folder: str | Path | None = None,
    results: str | Path | None = None,
    gradebook: str | None = None,
    roster: str | Path | None = None,
    sandbox: SandboxMode | None = None,
    jobs: int = 0,
    exchange: str | Path | None = None,
) -> None:
    """Let the commands of nbgrader that this configures grade as `autograder grade` does. c: what get_config() returns.

    course: course.toml. folder: nbgrader's course folder (default: where the command runs). results and gradebook: those of `autograder
    grade` (default: beside course.toml). sandbox: its --sandbox. exchange: nbgrader's folder on a shared machine.
    Raises nothing: nbgrader would pass over the whole file and grade by itself.
    """
    path = Path(course).absolute()
    c.Autograde.exporter_class = f"{_PLUGINS}.SandboxedExporter"
    c.Autograde.sanitize_preprocessors = []
    c.Autograde.autograde_preprocessors = []
    c.ExchangeFactory.collect = "autograder.nbgrader_course.exchange.Collect"
    c.GenerateAssignment.preprocessors = [
        _CLEAR if name == "ClearSolutions" else f"nbgrader.preprocessors.{name}" for name in _MAKE_ASSIGNMENT.split()
    ] + [f"{_PLUGINS}.SaveAssignment"]
    c.SaveAssignment.course = str(path)
    c.SandboxedExporter.course = str(path)
    c.SandboxedExporter.results = str(Path(results).absolute() if results else path.parent / "results")
    c.SandboxedExporter.roster = str(Path(roster).absolute()) if roster else ""
    c.SandboxedExporter.sandbox = sandbox or ("require" if sys.platform == "linux" else "best")
    c.SandboxedExporter.jobs = jobs
    c.CourseDirectory.db_url = gradebook or f"sqlite:///{path.parent / 'gradebook.db'}"
    if folder is not None:
        c.CourseDirectory.root = str(Path(folder).absolute())
    if exchange is not None:
        c.Exchange.root = str(exchange)
    # nbgrader starts programs that lie beside Python, also in an environment that is not activated.
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    try:
        read = load_course(path)
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)  # grading stops at it
        return
    c.CourseDirectory.course_id = read.id
    c.Autograde.exclude_overwriting = {assignment.folder: [f"{assignment.name}.py"] for assignment in read.assignments}
