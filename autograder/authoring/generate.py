"""Write the stubs and notebooks of all assignments, or say which are out of step with their sources.

python -m autograder.authoring.generate            # write
python -m autograder.authoring.generate --check    # exit code 1 when a file is out of step
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from autograder.authoring.assignments import Assignment, read_assignments
from autograder.authoring.notebooks import notebook_source
from autograder.authoring.stubs import MarkerError, stub_source
from autograder.course.questions import load_questions


class GenerateError(ValueError):
    """A source that the generated files are made from is missing or malformed."""


def generate(repository: Path) -> dict[Path, str]:
    """The text of every generated file, by its path relative to the repository."""
    files: dict[Path, str] = {}
    for assignment in read_assignments(repository):
        reference = _read(assignment.reference(repository))
        handout = _read(assignment.handout(repository))
        folder = Path("assignments", assignment.folder)
        try:
            files[folder / f"{assignment.name}.py"] = stub_source(reference)
            questions = load_questions(repository, assignment.name)
            files[folder / f"{assignment.name}.ipynb"] = notebook_source(assignment.name, reference, handout, questions, assignment.folder)
        except MarkerError as error:
            raise GenerateError(f"{_relative(assignment, repository)}, {error}") from None
    return files


def write(repository: Path) -> list[Path]:
    """Write every generated file that is out of step, and return their paths."""
    written = []
    texts = generate(repository)
    for path in _stale(repository, texts):
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text(texts[path], encoding="utf-8", newline="\n")
        written.append(path)
    return written


def stale(repository: Path) -> list[Path]:
    """Generated files that are missing or differ from what their sources give now."""
    return _stale(repository, generate(repository))


def _stale(repository: Path, texts: dict[Path, str]) -> list[Path]:
    return [path for path, text in texts.items() if not (repository / path).is_file() or (repository / path).read_text(encoding="utf-8") != text]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise GenerateError(f"{path} is missing: every assignment of course.toml needs it") from None


def _relative(assignment: Assignment, repository: Path) -> Path:
    return assignment.reference(repository).relative_to(repository)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m autograder.authoring.generate", description="Write the stubs and notebooks of all assignments.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is out of step with its sources")
    parser.add_argument("--repository", type=Path, default=Path(__file__).resolve().parents[2], help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        paths = stale(options.repository) if options.check else write(options.repository)
    except (GenerateError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in paths:
        print(f"{'out of step' if options.check else 'wrote'}: {path.as_posix()}")
    if options.check and paths:
        print("Run `python -m autograder.authoring.generate`; stubs and notebooks are never edited by hand.")
        return 1
    if not paths:
        print("Stubs and notebooks are in step with the reference solutions, handouts and questions.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
