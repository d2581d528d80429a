"""What a student may read of an exception, and what may not come through it."""

from __future__ import annotations

import builtins
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.checking.assertions import Mismatch
from autograder.grading.errors import SubmissionError, WorkerLostError, submission_error
from autograder.grading.messages import usual_text, verdict_on

SOURCE = "import torch\n\ndef attend(query, key):\n    scores = query @ key.mT\n    return scores.softmax(-1), linear1\n"
EXCEPTIONS = [name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception)]


def shown(raised: BaseException) -> str:
    return verdict_on(raised, SOURCE, "attention.py").message


@pytest.mark.parametrize(
    "text",
    [
        "name 'scores' is not defined",
        "'Tensor' object has no attribute 'softmax'",
        "mat1 and mat2 shapes cannot be multiplied (30x12 and 15x12)",
        "shape '[2, 5, 3, 4]' is invalid for input of size 7",
        "attend() missing 1 required positional argument: 'key'",
        "The size of tensor a (5) must match the size of tensor b (7) at non-singleton dimension 3",
        "not implemented yet: attend",
        "maximum recursion depth exceeded",
    ],
)
def test_usual_messages_about_names_of_the_source_are_shown(text: str) -> None:
    assert usual_text(text, SOURCE) == text
    assert usual_text(f"{text}\n3.14159 more", SOURCE) == text


@pytest.mark.parametrize(
    "text",
    [
        "name 'canary' is not defined",
        "not implemented yet: 0.7316491",
        "shape '[314159]' is invalid for input of size 3",
        "The size of tensor a (3.14) must match the size of tensor b (7) at non-singleton dimension 3",
        "mat1 and mat2 shapes cannot be multiplied (31415x92653 and 58979x32384)",
        "name 'key.query.key.query.key' is not defined",
        "name 'scores' is not defined 0.7316",
        " 0.5 name 'scores' is not defined",
        "name 'scores' is not defined\u2028",
        "name 'ſcores' is not defined",
        "list index out of range: 7",
        "shape '[٣, ٤]' is invalid for input of size ٥",
        "0.7316491",
        "",
        "\n",
    ],
)
def test_anything_else_is_not(text: str) -> None:
    assert "7316" not in usual_text(text, SOURCE)
    assert usual_text(text, SOURCE) in ("", "name 'scores' is not defined")


TEMPLATES = [
    "name {} is not defined",
    "not implemented yet: {}",
    "shape {} is invalid for input of size {}",
    "{}() missing {} required positional argument: {}",
    "{}",
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(TEMPLATES),
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False, width=32).filter(lambda x: len(repr(x)) > 7) | st.text(max_size=80), min_size=3, max_size=3
    ),
    st.sampled_from(["", "'", "[", "x", "scores."]),
)
def test_no_float_and_no_text_of_its_own_comes_through(template: str, values: list[object], before: str) -> None:
    text = usual_text(template.format(*(f"{before}{value}" for value in values)), SOURCE)
    assert not re.search(r"\d\.\d|\d{6,}|e[+-]\d", text)
    words = re.findall(r"[^\W\d]\w*", text)
    allowed = set(re.findall(r"\w+", SOURCE + " ".join(TEMPLATES)))
    assert set(words) <= allowed | {"Tensor", "int", "float", "range", "list", "index", "out", "of", "by", "zero", "division", "tuple"}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=3000))
def test_a_text_of_any_kind_takes_no_time_and_keeps_to_one_line(text: str) -> None:
    assert "\n" not in usual_text(text, SOURCE)


@pytest.mark.parametrize("text", ["name '" + "a." * 50_000, "(" * 100_000, "shape '[" + "1, " * 50_000, "x" * 2_000_000])
def test_long_texts_do_not_hold_the_grader_up(text: str) -> None:
    assert usual_text(text, SOURCE) == ""


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_every_built_in_exception_of_a_submission_becomes_an_error_of_the_same_type(name: str) -> None:
    error = submission_error([name, "Exception"], "not implemented yet: attend", 3)
    assert isinstance(error, SubmissionError)
    if name not in ("ExceptionGroup",):  # which cannot be without members
        assert isinstance(error, getattr(builtins, name))
    assert error.line == 3
    assert name in shown(error) or name in ("Exception", "NotImplementedError", "MemoryError")
    str(error), repr(error)


@pytest.mark.parametrize("names", [["KeyboardInterrupt"], ["SystemExit"], ["print"], ["x" * 300], [], ["__import__", "BaseException"], ["type"]])
def test_what_is_no_exception_counts_as_a_plain_one(names: list[str]) -> None:
    assert submission_error(names, "", None).builtin_name == "Exception"


def test_an_own_error_is_of_the_built_in_type_below_it() -> None:
    assert isinstance(submission_error(["MaskError", "ValueError", "Exception"], "", None), ValueError)


def test_a_line_and_a_usual_text_are_named() -> None:
    error = submission_error(["NameError"], "name 'scores' is not defined", 4)
    assert shown(error) == "Your code raised NameError on line 4 of attention.py: name 'scores' is not defined."
    error = submission_error(["NameError"], "name 'canary' is not defined", None)
    assert shown(error) == "Your code raised NameError."


def test_long_numbers_of_a_mismatch_are_cut_out() -> None:
    assert shown(Mismatch("the result has shape (0, 3141592653).")) == "The result has shape (0, …)."
    assert shown(Mismatch("the result is 3.141592653589793.")) == "The result is 3.…."


def test_names_of_the_student_keep_their_first_letter() -> None:
    assert shown(Mismatch("attention.py does not define padding_mask.")).startswith("attention.py")
    assert shown(Mismatch("padding_mask gives none.")).startswith("padding_mask")
    assert shown(Mismatch("the mask is None.")).startswith("The mask")


def test_errors_of_the_suite_itself_show_nothing_and_are_marked() -> None:
    verdict = verdict_on(ZeroDivisionError("0.7316491"), SOURCE, "attention.py")
    assert "7316" not in verdict.message
    assert verdict.suite_fault
    assert not verdict_on(TypeError("cannot unpack"), SOURCE, "attention.py").suite_fault
    assert "7316" not in shown(AssertionError("0.7316491"))


def test_a_lost_worker_and_an_unwritten_part_are_not_diagnosed() -> None:
    assert not verdict_on(WorkerLostError("No answer."), SOURCE, "attention.py").diagnosable
    assert not verdict_on(submission_error(["NotImplementedError"], "not implemented yet: attend", 1), SOURCE, "attention.py").diagnosable
    assert not verdict_on(submission_error(["ForbiddenOperationError", "RuntimeError"], "x", 1), SOURCE, "attention.py").diagnosable
