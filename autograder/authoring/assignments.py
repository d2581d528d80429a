"""Which assignments the repository has: those of its course.toml."""

from __future__ import annotations

from pathlib import Path

from autograder.course.course import Assignment, load_course

__all__ = ["Assignment", "read_assignments"]


def read_assignments(repository: Path) -> tuple[Assignment, ...]:
    """The assignments of course.toml, in its order. Raises CourseError, a ValueError, when the file has a mistake."""
    return load_course(repository / "course.toml").assignments
