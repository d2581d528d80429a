"""Which assignment a student means by "attention", "01", "01_attention" or a path, and which file of it is to be checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

PUBLIC_TESTS = "test_public.py"


class CannotCheckError(Exception):
    """The check cannot start. `str()` is for the student: what is wrong and what to do."""


@dataclass(frozen=True)
class Target:
    """One solution and the public tests that it is to pass."""

    folder: str  # "01_attention"
    name: str  # "attention"
    tests: Path
    solution: Path


def find_targets(wanted: Sequence[str], start: Path) -> list[Target]:
    """What each word of the command line means; all assignments when there is none. Raises CannotCheckError."""
    assignments = find_assignments(start)
    if not wanted:
        return list(assignments)
    return [_from_path(word, assignments) if _is_path(word) else _from_name(word, assignments) for word in wanted]


def find_assignments(start: Path) -> tuple[Target, ...]:
    """Every assignment of the nearest folder `assignments` at or above `start`. Raises CannotCheckError when there is none."""
    for folder in (start, *start.parents):
        targets = tuple(_in_folder(tests) for tests in sorted((folder / "assignments").glob(f"*/{PUBLIC_TESTS}")))
        if targets:
            return targets
    raise CannotCheckError(f"there is no folder assignments/ with public tests in {start} or above it; go to the course's folder first.")


def _in_folder(tests: Path) -> Target:
    folder = tests.parent
    name = folder.name.split("_", 1)[-1]
    return Target(folder.name, name, tests, folder / f"{name}.py")


def _is_path(word: str) -> bool:
    return "/" in word or "\\" in word or word.endswith((".py", ".ipynb")) or word in (".", "..")


def _from_name(word: str, assignments: Sequence[Target]) -> Target:
    for target in assignments:
        if word.lower() in (target.folder, target.name, target.folder.split("_", 1)[0], target.folder.split("_", 1)[0].lstrip("0")):
            return target
    raise CannotCheckError(f"there is no assignment {word!r}; {_suggestion(word, assignments)}")


def _from_path(word: str, assignments: Sequence[Target]) -> Target:
    path = Path(word).absolute()
    if path.is_dir() and (path / PUBLIC_TESTS).is_file():
        return _in_folder(path / PUBLIC_TESTS)
    if path.name == PUBLIC_TESTS and path.is_file():
        return _in_folder(path)
    for target in assignments:
        if path.suffix in (".py", ".ipynb") and target.name == path.stem:
            return Target(target.folder, target.name, target.tests, path)
    if not path.exists():
        raise CannotCheckError(f"{word} does not exist; {_suggestion(path.stem, assignments)}")
    raise CannotCheckError(f"{word} belongs to no assignment; {_suggestion(path.stem, assignments)}")


def _suggestion(word: str, assignments: Sequence[Target]) -> str:
    names = [target.name for target in assignments]
    folders = {target.folder: target.name for target in assignments}
    close = get_close_matches(word.lower(), [*names, *folders], n=1)
    if close:
        return f"did you mean {folders.get(close[0], close[0])!r}?"
    return f"there {'are' if len(names) > 1 else 'is'} {', '.join(names)}."
