"""A ValueError is to say what is wrong: here, and from a submission in its worker."""

from __future__ import annotations

import pytest

from autograder.checking.assertions import Mismatch, assert_raises_value_error
from autograder.grading.errors import submission_error


def raises(error):
    def call():
        raise error

    return call


@pytest.mark.parametrize("error", [ValueError("d_model must be even, got 7"), submission_error(["ValueError"], "d_model is 7", 3), ValueError(7)])
def test_an_error_with_a_message_is_right(error):
    assert_raises_value_error(raises(error), when="d_model is odd")


@pytest.mark.parametrize("error", [ValueError(), ValueError(""), ValueError("  …"), submission_error(["ValueError"], "", 3)])
def test_an_error_without_one_is_not(error):
    with pytest.raises(Mismatch, match="a ValueError without a message when d_model is odd"):
        assert_raises_value_error(raises(error), when="d_model is odd")


@pytest.mark.parametrize("error", [AssertionError("d_model"), RuntimeError("d_model"), TypeError("d_model")])
def test_another_error_is_not(error):
    with pytest.raises(Mismatch, match=f"{type(error).__name__} instead of ValueError when d_model is odd"):
        assert_raises_value_error(raises(error), when="d_model is odd")


def test_none_is_not():
    with pytest.raises(Mismatch, match="no ValueError when d_model is odd"):
        assert_raises_value_error(lambda: None, when="d_model is odd")
