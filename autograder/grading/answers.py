"""What a submission answered during one test, and whether two submissions answered alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from autograder.checking.assertions import Comparison
from autograder.grading.errors import SubmissionError, submission_error

_FLOAT64_TOLERANCE = 1e-9
_FLOAT32_TOLERANCE = 2e-4
_LOW_PRECISION_TOLERANCE = 3e-2
_MAX_KEPT_BYTES = 2**22  # an honest test keeps a quarter of it at most


class OtherAnswerError(BaseException):
    """A replayed variant answered otherwise than the submission: it is not this mistake."""


@dataclass
class Transcript:
    """Every answer of one test, in order. Values are kept as plain data: tensors, scalars, and nested tuples of them.

    None is kept once they are larger than a submission that means well could make them: then nothing can be compared.
    """

    answers: list[Any] = field(default_factory=list)
    kept_bytes: int = 0

    def note(self, value: Any) -> None:
        self._keep(plain(value))

    def note_comparison(self, comparison: Comparison) -> None:
        self._keep(comparison.actual)

    def _keep(self, value: Any) -> None:
        self.kept_bytes += _bytes_of(value)
        if self.kept_bytes > _MAX_KEPT_BYTES:
            self.answers.clear()
        else:
            self.answers.append(value)


@dataclass
class Rehearsal:
    """A replay of a test with another solution; raises OtherAnswerError at the first answer that differs from the transcript."""

    transcript: Transcript
    position: int = 0

    def note(self, value: Any) -> None:
        self._compare(plain(value))

    def note_comparison(self, comparison: Comparison) -> None:
        self._compare(comparison.actual)

    def _compare(self, value: Any) -> None:
        if self.position >= len(self.transcript.answers) or not same(value, self.transcript.answers[self.position]):
            raise OtherAnswerError
        self.position += 1

    @property
    def complete(self) -> bool:
        return self.position == len(self.transcript.answers)


def plain(value: Any) -> Any:
    """`value` as data that can be compared: an object that is not data counts by being one, an error by its built-in type."""
    if isinstance(value, Tensor):
        return value.detach()
    if value is None or isinstance(value, bool | int | float | str | torch.dtype):
        return value
    if isinstance(value, tuple | list):
        return ("sequence", *(plain(item) for item in value))
    if isinstance(value, dict):
        return ("mapping", *((str(key), plain(item)) for key, item in value.items()))
    if isinstance(value, SubmissionError):
        return ("error", value.builtin_name)
    if isinstance(value, Exception):
        return ("error", submission_error([base.__name__ for base in type(value).__mro__], "", None).builtin_name)
    return ("object",)


def _bytes_of(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.untyped_storage().nbytes()
    if isinstance(value, tuple):
        return sum(64 + _bytes_of(item) for item in value)
    return len(value) if isinstance(value, str) else value.bit_length() // 8 + 8 if isinstance(value, int) else 8


def same(one: Any, other: Any) -> bool:
    """Equal but for rounding, which another order of the same sums explains."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return _same_tensors(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return bool(one == other or abs(one - other) <= _FLOAT64_TOLERANCE * max(1.0, abs(one)) or (one != one and other != other))
    return bool(one == other)


def _same_tensors(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not one.dtype.is_floating_point:
        return bool(torch.equal(one, other))
    tolerance = {torch.float64: _FLOAT64_TOLERANCE, torch.float32: _FLOAT32_TOLERANCE}.get(one.dtype, _LOW_PRECISION_TOLERANCE)
    a, b = one.double(), other.double()
    finite = b[torch.isfinite(b)].abs()
    scale = max(1.0, float(finite.max())) if finite.numel() else 1.0
    return bool(torch.isclose(a, b, rtol=0.0, atol=tolerance * scale, equal_nan=True).all())
