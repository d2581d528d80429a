"""Bring grades out of nbgrader's gradebook: Canvas, Moodle, Gradescope, and one row per question.

The classes are plug-ins of `nbgrader export --exporter=autograder.exports.CanvasExporter`. They are imported when asked for,
since nobody else needs nbgrader.
"""

from __future__ import annotations

from typing import Any

_PLUGINS = ("CanvasExporter", "GradescopeExporter", "MoodleExporter", "QuestionsExporter")


def __getattr__(name: str) -> Any:
    if name in _PLUGINS:
        from autograder.exports import plugins

        return getattr(plugins, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
