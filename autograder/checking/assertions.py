"""Assertions whose failure is a sentence for a student.

Only a `Mismatch` raised here, or an error raised by the submission, is ever shown to a student. The words name the
kind, size and place of a difference and never an expected value or an input.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autograder.checking import tolerance as tolerances
from autograder.checking.tolerance import Tolerance


class Mismatch(AssertionError):
    """A result breaks the contract. `str()` is shown to the student as it stands."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        self.reason = reason
        self.hint = hint
        super().__init__(f"{reason} {hint}" if hint else reason)


@dataclass(frozen=True)
class Comparison:
    """One comparison: what came, the error seen, the bound it was held to and the name of the tolerance that gave it."""

    actual: Tensor
    error: float
    bound: float
    tolerance: str


_listeners: list[Callable[[Comparison], None]] = []


@contextlib.contextmanager
def listen_to_comparisons(listener: Callable[[Comparison], None]) -> Iterator[None]:
    """Report every numeric comparison made inside the block to `listener`."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def _tell(actual: Tensor, error: float, bound: float, tolerance: str) -> None:
    for listener in _listeners:
        listener(Comparison(actual, error, bound, tolerance))


def fail(reason: str, hint: str | None = None) -> None:
    """Fail the test with a sentence for the student."""
    raise Mismatch(reason, hint)


def require(condition: bool, reason: str, hint: str | None = None) -> None:
    """Fail with `reason` (and `hint`) unless `condition` holds."""
    if not condition:
        raise Mismatch(reason, hint)


_PLURAL = {"is": "are", "holds": "hold", "has": "have"}


def _verb(what: str, singular: str) -> str:
    """ "is" or "are", for what a test calls its result: "the weights of the first head" are, "the bias" is."""
    noun = re.split(r" (?:of|for|with|in|at|on|after|when|that|from|without|under)\b", what)[0].split()[-1]
    plural = noun.endswith("s") and not noun.endswith(("ss", "us", "is", "bias"))
    return _PLURAL[singular] if plural else singular


def _kind_text(value: Any) -> str:
    """ "a tuple", "None"; an object that stays with the submission says itself what it is."""
    if value is None:
        return "None"
    name = getattr(type(value), "kind_of_object", lambda object_: type(object_).__name__)(value)
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def shape_text(shape: Sequence[int]) -> str:
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"


def dtype_text(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def assert_tensor(actual: Any, shape: Sequence[int] | None = None, dtype: torch.dtype | None = None, *, what: str = "the result") -> Tensor:
    """Check that `actual` is a tensor of this shape and dtype, and return it."""
    if not isinstance(actual, Tensor):
        raise Mismatch(f"{what} {_verb(what, 'is')} {_kind_text(actual)}, not a tensor.")
    if shape is not None and tuple(actual.shape) != tuple(shape):
        raise Mismatch(f"{what} {_verb(what, 'has')} shape {shape_text(actual.shape)}; {shape_text(shape)} was expected.")
    if dtype is not None and actual.dtype != dtype:
        raise Mismatch(f"{what} {_verb(what, 'is')} {dtype_text(actual.dtype)}; {dtype_text(dtype)} was expected.")
    return actual


def assert_matches(
    actual: Any,
    expected: Tensor,
    *,
    what: str = "the result",
    tolerance: Tolerance | None = None,
    dtype: torch.dtype | None = None,
    hint: str | None = None,
) -> None:
    """Check shape, then values, of `actual` against `expected`.

    The tolerance defaults to the one for the dtypes compared (see `tolerance.default_for`). Infinities must be equal and
    in the same places; NaN never matches. `dtype` is checked only when given.
    """
    tensor = assert_tensor(actual, expected.shape, dtype, what=what).detach()
    expected = expected.detach()
    if tensor.dtype == torch.bool or expected.dtype == torch.bool:
        _assert_same_booleans(tensor, expected, what, hint)
        return
    bound_of = tolerance if tolerance is not None else tolerances.default_for(tensor, expected)
    bound = bound_of.bound(expected)
    difference = (tensor.double() - expected.double()).abs()
    if expected.dtype.is_floating_point:
        difference = difference.masked_fill(tensor.double() == expected.double(), 0.0)  # inf - inf
    error = float(difference.max()) if difference.numel() else 0.0
    unlike = torch.isnan(difference).any().item()
    _tell(tensor, float("inf") if unlike else error, bound, bound_of.name)
    if unlike or torch.isinf(difference).any():
        raise Mismatch(_non_finite_reason(tensor, expected, what), hint)
    if error > bound:
        raise Mismatch(_difference_reason(difference, error, bound, bound_of, expected, what), hint)


def _assert_same_booleans(tensor: Tensor, expected: Tensor, what: str, hint: str | None) -> None:
    if tensor.dtype != torch.bool:
        raise Mismatch(f"{what} {_verb(what, 'is')} {dtype_text(tensor.dtype)}; bool was expected.", hint)
    wrong = tensor != expected.bool()
    count = int(wrong.sum())
    _tell(tensor, float(count), 0.0, tolerances.EXACT.name)
    if count == 0:
        return
    if count == wrong.numel() and count > 1:
        raise Mismatch(f"{what} {_verb(what, 'is')} the exact opposite: True and False are swapped everywhere.", hint)
    place = _place_of_first(wrong)
    raise Mismatch(f"{what} {_verb(what, 'is')} wrong in {count} of {wrong.numel()} places, first at {place}.", hint)


def _non_finite_reason(tensor: Tensor, expected: Tensor, what: str) -> str:
    nan = torch.isnan(tensor)
    if nan.any():
        return f"{what} {_verb(what, 'holds')} NaN in {int(nan.sum())} of {tensor.numel()} places, first at {_place_of_first(nan)}."
    wrong = torch.isinf(tensor) != torch.isinf(expected)
    if not wrong.any():
        wrong = torch.isinf(tensor)
    return f"{what} {_verb(what, 'is')} infinite where it should not be (or the other way round), first at {_place_of_first(wrong)}."


def _difference_reason(difference: Tensor, error: float, bound: float, used: Tolerance, expected: Tensor, what: str) -> str:
    scale = max(1.0, float(expected.double()[torch.isfinite(expected)].abs().max()) if torch.isfinite(expected).any() else 1.0)
    wrong = difference > bound
    place = _place_of(int(difference.argmax()), difference.shape)
    reason = f"{what} {_verb(what, 'is')} off by up to {error:.2g} (at {place}; {int(wrong.sum())} of {wrong.numel()} values differ)."
    if used.name == tolerances.LOGIC.name and error / scale < 2e-6:
        reason += " A difference this small means that some step is computed in float32: float64 input is computed in float64 throughout."
    return reason


def _place_of_first(wrong: Tensor) -> str:
    return _place_of(int(wrong.flatten().int().argmax()), wrong.shape)


def _place_of(flat_index: int, shape: Sequence[int]) -> str:
    index: list[int] = []
    for size in reversed(shape):
        index.append(flat_index % size)
        flat_index //= size
    return "[" + ", ".join(str(i) for i in reversed(index)) + "]"


def assert_equal(actual: Any, expected: Any, *, what: str = "the result", hint: str | None = None) -> None:
    """Check equality of plain values, or bit equality of tensors."""
    if isinstance(expected, Tensor):
        assert_matches(actual, expected, what=what, tolerance=tolerances.EXACT, hint=hint)
        return
    if type(actual) is not type(expected) or actual != expected:
        raise (
            Mismatch(f"{what} {_verb(what, 'is')} {actual!r}.", hint)
            if isinstance(actual, bool | int | float | None)
            else Mismatch(f"{what} {_verb(what, 'is')} wrong.", hint)
        )


def assert_finite(actual: Any, *, what: str = "the result", hint: str | None = None) -> None:
    """Check that a tensor holds neither NaN nor infinity."""
    tensor = assert_tensor(actual, what=what)
    bad = ~torch.isfinite(tensor.detach())
    if bad.any():
        kind = "NaN" if torch.isnan(tensor).any() else "infinity"
        raise Mismatch(f"{what} {_verb(what, 'holds')} {kind} in {int(bad.sum())} of {bad.numel()} places, first at {_place_of_first(bad)}.", hint)


def is_unwritten(text: str) -> bool:
    """Whether a NotImplementedError of this text is a stub's, and not torch's own."""
    return not text.strip() or "not implemented yet" in text


def assert_raises_value_error(call: Callable[[], Any], *, when: str) -> None:
    """Check that `call` raises ValueError with a message. `when` completes "no ValueError when …"."""
    try:
        call()
    except ValueError as error:
        message = getattr(error, "text", "") or str(error)  # a submission in its worker keeps its own words in `text`
        if any(character.isalnum() for character in message):
            return
        raise Mismatch(f"a ValueError without a message when {when}.", "Say in the message which argument is wrong, and what it was.") from error
    except Mismatch:
        raise  # there is nothing to call
    except Exception as error:
        if isinstance(error, NotImplementedError) and is_unwritten(str(error)):
            raise
        raise Mismatch(f"{type(error).__name__.removeprefix('Submission')} instead of ValueError when {when}.") from error
    raise Mismatch(f"no ValueError when {when}.", "Check the arguments first, and say in the message which one is wrong and what it was.")


def assert_inputs_unchanged(submission: Any) -> None:
    """Check that no call of this test changed a tensor it was given."""
    changed = list(dict.fromkeys(submission.changed_inputs))  # each once, however many calls changed it
    if changed:
        raise Mismatch(f"the caller's tensor was changed in place: {', '.join(changed)}.", "Use masked_fill, not masked_fill_; clone before writing.")
