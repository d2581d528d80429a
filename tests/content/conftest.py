"""A handout is tested once its assignment is part of the course."""

from __future__ import annotations

from autograder.course.course import load_course
from autograder.grading.paths import REPOSITORY

_COURSE = {assignment.name for assignment in load_course(REPOSITORY / "course.toml").assignments}
_TESTED = {path.stem.removeprefix("test_handout_") for path in (REPOSITORY / "tests" / "content").glob("test_handout_*.py")}
collect_ignore = [f"test_handout_{name}.py" for name in sorted(_TESTED - _COURSE)]
