"""What `autograder doctor` says about the course: its description, its suites and its gradebook."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from autograder.course.course import CourseError, load_course
from autograder.grading.paths import HIDDEN_TESTS
from autograder.sandbox.doctor import Finding


def check_course(path: Path) -> list[Finding]:
    """Findings in the doctor's form."""
    try:
        course = load_course(path)
    except CourseError as error:
        return [Finding("course.toml", False, "cannot be used", str(error))]
    without = [entry.folder for entry in course.assignments if not (HIDDEN_TESTS / f"test_{entry.name}.py").is_file()]
    nbgrader = find_spec("nbgrader") is not None
    return [
        Finding("course.toml", True, f"{len(course.assignments)} assignments"),
        Finding("hidden suites", not without, f"missing for {', '.join(without)}" if without else "one for each assignment", ""),
        Finding("gradebook", nbgrader, "nbgrader is installed" if nbgrader else "nbgrader is not installed", "" if nbgrader else "make grade"),
    ]
