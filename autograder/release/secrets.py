"""What must not be in a release: the files that hold it, and what of them students see anyway."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from autograder.authoring.stubs import MarkerError, stub_source
from autograder.release.errors import ReleaseError
from autograder.release.model_answers import ModelAnswer, read_model_answers


class Kind(StrEnum):
    REFERENCE = "the reference solution"
    ALTERNATIVE = "the alternative solution"
    EXAMPLE = "the example submission"
    HIDDEN_TEST = "the hidden tests"
    MISCONCEPTION = "the misconceptions"
    ANSWER = "the model answers"

    @property
    def is_solution(self) -> bool:
        return self in (Kind.REFERENCE, Kind.ALTERNATIVE, Kind.EXAMPLE, Kind.ANSWER)


_WHERE = {
    Kind.REFERENCE: "reference_solutions/*.py",
    Kind.ALTERNATIVE: "tests/alternative_solutions/*/*.py",
    Kind.EXAMPLE: "examples/submissions/*/*/*.py",
    Kind.HIDDEN_TEST: "autograder/hidden_tests/*.py",
    Kind.MISCONCEPTION: "autograder/misconceptions/*.py",
}
_MUST_EXIST = (Kind.REFERENCE, Kind.HIDDEN_TEST, Kind.MISCONCEPTION)


@dataclass(frozen=True)
class Secret:
    """Code that students must not get: a file, or what a model answer holds. `path` is relative to the repository; `tree` is its source, parsed."""

    kind: Kind
    path: str
    text: str
    tree: ast.Module

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"


@dataclass(frozen=True)
class Secrets:
    """What students get themselves: `stubs`, the references without their solutions, and `questions`, prompts and rubrics."""

    files: tuple[Secret, ...]
    stubs: tuple[str, ...]
    answers: tuple[ModelAnswer, ...] = ()
    questions: tuple[str, ...] = ()


def read_secrets(repository: Path) -> Secrets:
    """Raises ReleaseError when there is nothing to compare with: a guard that knows no secret would let all of them pass."""
    model = read_model_answers(repository)
    drawn = [Secret(Kind.ANSWER, answer.path, code, ast.parse(code)) for answer in model.answers for code in answer.code]
    files = (*(secret for kind in _WHERE for secret in _of_kind(repository, kind)), *drawn)
    for kind in _MUST_EXIST:
        if not any(secret.kind is kind for secret in files):
            raise ReleaseError(f"{repository / _WHERE[kind]} holds nothing, so that leaks cannot be seen; run from the course's own repository")
    stubs = []
    for secret in files:
        if secret.kind is Kind.REFERENCE:
            try:
                stubs.append(stub_source(secret.text))
            except MarkerError as error:
                raise ReleaseError(f"{secret.path}, {error}") from None
    return Secrets(files, tuple(stubs), model.answers, model.public)


def _of_kind(repository: Path, kind: Kind) -> Iterator[Secret]:
    for path in sorted(repository.glob(_WHERE[kind])):
        try:
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text)
        except (OSError, UnicodeDecodeError, SyntaxError, ValueError):
            if kind is Kind.EXAMPLE:
                continue  # a class hands in what does not parse, too
            raise ReleaseError(f"{path.relative_to(repository)} cannot be read as Python, so that its leaks cannot be seen; mend it first") from None
        yield Secret(kind, path.relative_to(repository).as_posix(), text, tree)
