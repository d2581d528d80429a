"""What a failed test says to its student, and nothing that the student may not know.

A submission's own exception text could carry hidden inputs out, so it is shown only when it fits one of Python's or torch's
usual messages, with names that stand in the student's own source and with sizes, never values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.checking.assertions import Mismatch
from autograder.checking.notebook import Place, place_of
from autograder.grading.errors import SubmissionError, WithheldError, WorkerLostError

_NAME = r"'?[A-Za-z_][A-Za-z0-9_.]{0,60}'?"
_SIZE = r"\d{1,5}"
_SHAPE = rf"'?\[?\(?{_SIZE}(?:(?:, ?|x){_SIZE}){{0,5}},?\)?\]?'?"
_MAX_DIGITS = 16  # of all sizes in one text
_MAX_PARTS = 4  # of a dotted name
_LONG_NUMBER = re.compile(r"\d{6,}|\d{1,3}(?:,\d{3}){3,}")

# Wording of CPython 3.11 … 3.14 and torch; {name} stands for a name of the source, {size} for a number, {shape} for several.
_USUAL = (
    "not implemented yet: {name}",
    "name {name} is not defined",
    "cannot access local variable {name} where it is not associated with a value",
    "{name} object has no attribute {name}",
    "module {name} has no attribute {name}",
    "type object {name} has no attribute {name}",
    "{name} object is not callable",
    "{name} object is not iterable",
    "{name} object is not subscriptable",
    "cannot unpack non-iterable {name} object",
    "not enough values to unpack (expected {size}, got {size})",
    "too many values to unpack (expected {size})",
    "too many values to unpack (expected {size}, got {size})",
    "{name}() got an unexpected keyword argument {name}",
    "{name}() missing {size} required positional argument: {name}",
    "{name}() missing {size} required positional arguments: {name} and {name}",
    "{name}() takes {size} positional argument but {size} were given",
    "{name}() takes {size} positional arguments but {size} were given",
    "{name}() takes from {size} to {size} positional arguments but {size} were given",
    "No module named {name}",
    "cannot import name {name} from {name}",
    "mat1 and mat2 shapes cannot be multiplied ({shape} and {shape})",
    "mat1 and mat2 must have the same dtype, but got {name} and {name}",
    "expected scalar type {name} but found {name}",
    "expected m1 and m2 to have the same dtype, but got: {name} != {name}",
    "The size of tensor a ({size}) must match the size of tensor b ({size}) at non-singleton dimension {size}",
    "shape {shape} is invalid for input of size {size}",
    "Expected size for first two dimensions of batch2 tensor to be: {shape} but got: {shape}.",
    "Dimension out of range (expected to be in range of [-{size}, {size}], but got {size})",
    "Dimension out of range (expected to be in range of [-{size}, {size}], but got -{size})",
    "The expanded size of the tensor ({size}) must match the existing size ({size}) at non-singleton dimension {size}.",
    "maximum recursion depth exceeded",
    "maximum recursion depth exceeded in comparison",
    "division by zero",
    "list index out of range",
    "tuple index out of range",
)
_EVERY_NAME = frozenset(
    """
    NoneType int float bool str tuple list dict set Tensor torch Parameter Linear Module ModuleList Dropout Embedding Double Float Half
    BFloat16 Long Int Bool Byte double float c10 function builtin_function_or_method method module numpy math functional nn
    """.split()
)


@dataclass(frozen=True)
class Verdict:
    """Why a test failed, for its student. `diagnosable` when answers were given that a misconception could have given too."""

    message: str
    line: int | None = None
    diagnosable: bool = True
    suite_fault: bool = False  # raised by the test itself and by nothing that came from the submission


def verdict_on(raised: BaseException, source: str, filename: str, places: Sequence[Place] = ()) -> Verdict:
    """The words for what a test raised. `source` is the text whose names an error's text may repeat, `places` those of a notebook."""
    if isinstance(raised, Mismatch):
        cause = raised.__cause__
        return Verdict(_LONG_NUMBER.sub("…", _sentence(str(raised))), cause.line if isinstance(cause, SubmissionError) else None)
    if isinstance(raised, WithheldError):
        place = place_of(places, raised.line) or f"line {raised.line} of {filename}"
        return Verdict(f"{raised.reason} It is on {place}: write it without, and hand in again.", raised.line, diagnosable=False)
    if isinstance(raised, WorkerLostError):
        return Verdict(str(raised), diagnosable=False)
    if isinstance(raised, SubmissionError):
        return _verdict_on_error(raised, source, filename, places)
    if isinstance(raised, AssertionError):
        return Verdict("The answer is not what the title of this test says.", suite_fault=True)
    if isinstance(raised, MemoryError) or "allocate memory" in str(raised)[:1000]:
        return Verdict("What came back is too large to be looked at: check its shape.", diagnosable=False)
    kind = type(raised).__name__
    if _raised_by_the_grader(raised):
        return Verdict(f"The grader itself failed here ({kind}); tell your instructor.", diagnosable=False, suite_fault=True)
    return Verdict(
        f"What came back could not be used as the contract says ({kind}): check how many values you return, their types and their shapes.",
        suite_fault=not isinstance(raised, TypeError | ValueError | IndexError | RuntimeError | AttributeError | KeyError),
    )


def _raised_by_the_grader(raised: BaseException) -> bool:
    """Whether the innermost frame is the grader's own: no answer of a submission may bring that about."""
    trace = raised.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and Path(trace.tb_frame.f_code.co_filename).parent.name in ("grading", "wire", "sandbox")


def _verdict_on_error(error: SubmissionError, source: str, filename: str, places: Sequence[Place]) -> Verdict:
    place = f" on {place_of(places, error.line) or f'line {error.line} of {filename}'}" if error.line is not None else ""
    if error.forbidden:
        return Verdict(
            f'Your code calls what this assignment asks you to write by hand{place}; see "What is allowed" in the handout.', error.line, False
        )
    text = usual_text(error.text, source)
    if error.builtin_name == "NotImplementedError":
        return Verdict(_sentence(text or f"not implemented yet (NotImplementedError{place})"), error.line, diagnosable=False)
    if error.builtin_name == "MemoryError" or "allocate memory" in error.text:
        return Verdict(f"Your code asked for more memory than it may use{place}.", error.line)
    detail = f": {text}" if text else ""
    if error.builtin_name == "Exception":
        return Verdict(f"Your code raised an exception{place}{detail}.", error.line)
    return Verdict(f"Your code raised {error.builtin_name}{place}{detail}.", error.line)


def usual_text(text: str, source: str) -> str:
    """The first line of `text` when it is one of the usual messages about names of `source`, else nothing."""
    first = text.strip().splitlines()[0][:300] if text.strip() else ""
    first = first.split(". Did you mean")[0].rstrip()
    if sum(character.isdigit() for character in first) > _MAX_DIGITS:
        return ""
    for pattern in _PATTERNS:
        match = pattern.fullmatch(first)
        if match and all(_known(name, source) for name in match.groups()):
            return first.rstrip(".")
    return ""


def _known(name: str, source: str) -> bool:
    parts = [part for part in name.strip("'").split(".") if part]
    return len(parts) <= _MAX_PARTS and all(part in _EVERY_NAME or re.search(rf"\b{re.escape(part)}\b", source) is not None for part in parts)


def _compiled(template: str) -> re.Pattern[str]:
    pattern = re.escape(template)
    for word, meaning in (("name", f"({_NAME})"), ("size", _SIZE), ("shape", _SHAPE)):
        pattern = pattern.replace(rf"\{{{word}\}}", meaning)
    return re.compile(pattern, re.ASCII)


_PATTERNS = tuple(_compiled(template) for template in _USUAL)


def _sentence(text: str) -> str:
    if not re.match(r"\S*[a-z][._][a-z]", text):  # a name of the student's own: a file, a function
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", ":")) else text + "."
