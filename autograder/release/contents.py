"""What goes into a release: every file of it as bytes, by its path. The same course gives the same bytes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from autograder.course.course import Assignment, Course
from autograder.release.errors import ReleaseError
from autograder.release.index import assignments_index, course_rules
from autograder.release.untouched import check_untouched

_TEMPLATES = Path(__file__).with_name("templates")
_AS_THEY_ARE = ("LICENSE", "assignments/conftest.py", "autograder/bootstrap.py", "docs/student.md")
_FROM_TEMPLATES = {
    "README.md": "README.md",
    "AGENTS.md": "AGENTS.md",
    "Makefile": "Makefile",
    "gitignore": ".gitignore",
    "package.txt": "autograder/__init__.py",
    "practice.yml": ".github/workflows/practice.yml",
}
_FIGURES = (".svg", ".png")
_ALSO_FOR_STUDENTS = ("matplotlib",)  # what the notebooks draw with


def release_files(repository: Path, course: Course, assignments: Sequence[Assignment]) -> dict[str, bytes]:
    """The files of a release of these assignments. Raises ReleaseError, which names what is missing or not fit to be given out."""
    files = {path: _read(repository, path) for path in _AS_THEY_ARE}
    files |= {path: _read(repository, path) for path in _checking_tool(repository)}
    stubs: dict[str, str] = {}
    for assignment in assignments:
        folder = f"assignments/{assignment.folder}"
        names = ("README.md", f"{assignment.name}.py", f"{assignment.name}.ipynb", "test_public.py")
        files |= {f"{folder}/{name}": _read(repository, f"{folder}/{name}") for name in names}
        files |= {path: _read(repository, path) for path in _figures(repository, folder)}
        check_untouched(repository, assignment, files)
        stubs[assignment.folder] = _text(files, f"{folder}/{assignment.name}.py")
    files |= {path: (_TEMPLATES / name).read_bytes() for name, path in _FROM_TEMPLATES.items()}
    files["pyproject.toml"] = _pyproject(repository).encode()
    files["course.toml"] = course_rules(course, assignments).encode()
    files["assignments/README.md"] = assignments_index(_read(repository, "assignments/README.md").decode("utf-8"), assignments, stubs).encode()
    return dict(sorted(files.items()))


def _checking_tool(repository: Path) -> Iterator[str]:
    for path in sorted((repository / "autograder" / "checking").glob("*.py")):
        yield path.relative_to(repository).as_posix()


def _figures(repository: Path, folder: str) -> Iterator[str]:
    for path in sorted((repository / folder / "figures").glob("*")):
        if path.suffix in _FIGURES:
            yield path.relative_to(repository).as_posix()


def _read(repository: Path, path: str) -> bytes:
    try:
        return (repository / path).read_bytes()
    except FileNotFoundError:
        raise ReleaseError(f"{path} does not exist; students need it, so write it or leave its assignment out of the release") from None
    except OSError as error:
        raise ReleaseError(f"{path} cannot be read: {error.strerror}") from None


def _text(files: dict[str, bytes], path: str) -> str:
    try:
        return files[path].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ReleaseError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def _pyproject(repository: Path) -> str:
    """The students' own pyproject.toml, with the versions that the course's own pins."""
    project: dict[str, Any] = tomllib.loads(_read(repository, "pyproject.toml").decode("utf-8"))["project"]
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    pinned = [*project["dependencies"], *(requirement for requirement in extras if requirement.startswith(_ALSO_FOR_STUDENTS))]
    lines = "".join(f'    "{requirement}",\n' for requirement in dict.fromkeys(pinned))
    template = (_TEMPLATES / "pyproject.txt").read_text(encoding="utf-8")
    return template.replace("{dependencies}", lines.rstrip("\n")).replace("{requires-python}", project["requires-python"])
