"""`autograder export`: bring grades out of the gradebook, in the format of another system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from autograder.commands.grade import gradebook_url
from autograder.course.course import load_course
from autograder.exports.model import ExportError
from autograder.gradebook.database import GradebookError, open_gradebook

PLUGINS = {"canvas": "CanvasExporter", "moodle": "MoodleExporter", "gradescope": "GradescopeExporter", "questions": "QuestionsExporter"}


@dataclass(frozen=True)
class ExportOptions:
    """What the command line may say. settings: those of the exporter that were given, by their names; None for its own defaults."""

    target: str
    course: Path
    gradebook: str | None = None
    roster: Path | None = None
    to: Path | None = None
    assignments: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def export(options: ExportOptions, console: Console) -> int:
    """Exit code 1 when there were warnings: grades that were left out. Raises ExportError, GradebookError or CourseError."""
    course = load_course(options.course)
    url = gradebook_url(options.course, options.gradebook)
    if url is None:
        raise GradebookError("an export needs a gradebook: install nbgrader (make grade-env), and do not say --gradebook none")
    if url.startswith("sqlite:///") and "?" not in url and not Path(url.removeprefix("sqlite:///")).is_file():
        raise GradebookError(f"there is no gradebook {url.removeprefix('sqlite:///')}; run `autograder grade` first, or name it with --gradebook")
    with open_gradebook(url, course.id) as gradebook:
        exporter = _exporter(options)
        exporter.export(gradebook)
    for warning in exporter.last_warnings:
        console.print(f"note: {warning}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"exported: {exporter.to or exporter.default_to}", markup=False, highlight=False, soft_wrap=True)
    return 1 if exporter.last_warnings else 0


def _exporter(options: ExportOptions) -> Any:
    from autograder import exports

    plugin = getattr(exports, PLUGINS[options.target])
    settings = {name: value for name, value in options.settings.items() if value is not None}
    for name in settings:
        if name not in plugin.class_traits(config=True):
            raise ExportError(f"--{name} means nothing for {options.target}")
    exporter = plugin(to=str(options.to or ""), course=str(options.course), roster=str(options.roster or ""), **settings)
    exporter.assignment = list(options.assignments)
    return exporter
