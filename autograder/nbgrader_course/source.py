"""What lies in `source/NN_name` of an nbgrader course: the instructor's notebook, and the files that go to students with it."""

from __future__ import annotations

from pathlib import Path

from autograder.authoring.notebooks import source_notebook
from autograder.course.course import Assignment

_BESIDE_IT = ("test_public.py", "figures/*.svg", "figures/*.png")


def source_files(repository: Path, assignment: Assignment) -> dict[str, bytes]:
    """By their path in the folder; {} for an assignment without a reference solution."""
    if not assignment.reference(repository).is_file():
        return {}
    folder = repository / "assignments" / assignment.folder
    beside = sorted(path for pattern in _BESIDE_IT for path in folder.glob(pattern))
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in beside}
    return {f"{assignment.name}.ipynb": source_notebook(repository, assignment).encode()} | files
