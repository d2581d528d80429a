"""What can go wrong when a test talks to a submission."""

from __future__ import annotations

import builtins
import contextlib

from autograder.checking.assertions import is_unwritten


class SubmissionError(Exception):
    """The submission raised. Instances also are of the built-in type that it raised, so that `except ValueError` works.

    text is the submission's own and is never shown as it stands; line is in the student's file, None when the error arose elsewhere.
    """

    builtin_name: str = "Exception"
    text: str = ""
    line: int | None = None
    forbidden: bool = False


class WorkerLostError(BaseException):
    """The worker can answer no more in this test. No `except Exception` in a test may swallow it. `str()` is for the student."""


class WithheldError(Exception):
    """What a test saw may be right, and the source holds something after which it cannot be believed. `line` is where."""

    def __init__(self, reason: str, line: int) -> None:
        self.reason = reason
        self.line = line
        super().__init__(reason)


_types: dict[str, type[SubmissionError]] = {}


def submission_error(type_names: list[str], text: str, line: int | None) -> SubmissionError:
    """The error for a worker's account of one: the names of the exception's classes, from the most special."""
    name = next((name for name in type_names if _is_builtin(name)), "Exception")
    if name == "NotImplementedError" and not is_unwritten(text):
        name = "RuntimeError"  # torch says so, too, of an operation that it does not have for a dtype
    if name not in _types:
        _types[name] = _type_for(name)
    kind = _types[name]
    error = kind.__new__(kind)
    error.builtin_name, error.text, error.line = name, text, line
    error.forbidden = type_names[:1] == ["ForbiddenOperationError"]
    return error


def _type_for(name: str) -> type[SubmissionError]:
    """A SubmissionError that is of the built-in type too, where the two can be one and an instance needs no arguments."""
    builtin = getattr(builtins, name)
    for bases in ((SubmissionError, builtin), (builtin, SubmissionError), (SubmissionError,)):
        with contextlib.suppress(TypeError):  # OSError's layout does not mix, MemoryError is particular about the order, groups want members
            kind: type[SubmissionError] = type(f"Submission{name}", bases, {})
            kind.__new__(kind)
            return kind
    return SubmissionError


def _is_builtin(name: str) -> bool:
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, Exception)
