"""Hidden suite of the toy assignment."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from autograder.checking.assertions import assert_inputs_unchanged, assert_matches, assert_raises_value_error, assert_tensor


@pytest.mark.points(2)
def test_halves(submission: Any, tensors: Any) -> None:
    """halve returns half of every number"""
    x = tensors.normal((3, 4)) + 3
    assert_matches(submission.halve(x), x / 2, what="the half", hint="Half of 1 is 0.5.")


@pytest.mark.requires("test_halves")
def test_keeps_the_dtype(submission: Any, tensors: Any) -> None:
    """halve keeps the dtype of its input"""
    x = tensors.normal((3, 4), dtype=torch.float32)
    assert_tensor(submission.halve(x), (3, 4), torch.float32, what="the half")


def test_refuses_integers(submission: Any) -> None:
    """halve refuses integers"""
    assert_raises_value_error(partial(submission.halve, torch.arange(3)), when="x holds integers")


@pytest.mark.points(2)
def test_scales(submission: Any, tensors: Any, reference: Any) -> None:
    """Scale multiplies each feature by its weight"""
    module, expected = submission.Scale(5), reference.Scale(5)
    state = tensors.state_like(module, dtype=torch.float32)
    module.load_state_dict(state)
    expected.load_state_dict(state)
    x = tensors.normal((2, 5), dtype=torch.float32)
    assert_matches(module(x), expected(x), what="the product")


@pytest.mark.requires("test_scales")
def test_gradient_of_the_weight(submission: Any, tensors: Any) -> None:
    """The weight can be learned"""
    module = submission.Scale(5).to(torch.float64)
    x = tensors.normal((2, 5))
    (gradient,) = torch.autograd.grad(module(x).sum(), module.parameters())
    assert_matches(gradient, x.sum(0), what="the gradient of the weight")


def test_dropout(submission: Any, tensors: Any) -> None:
    """Dropout rests in eval mode"""
    module = submission.Scale(50, dropout=0.5).eval()
    x = tensors.normal((2, 50), dtype=torch.float32)
    assert_matches(module(x), x, what="the product in eval mode")


def test_input_stays(submission: Any, tensors: Any) -> None:
    """No input is changed"""
    x = tensors.normal((3, 4)) + 3
    assert_tensor(submission.halve(x), (3, 4), what="the half")
    assert_inputs_unchanged(submission)
