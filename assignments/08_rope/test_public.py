"""Public tests of 08_rope: a few values worked out by hand, and properties that any right solution has.

    pytest assignments/08_rope

They are where to begin. The hidden tests also ask what the handout says beyond them.
"""

from __future__ import annotations

import pytest
import torch

from autograder.checking.assertions import (
    assert_equal,
    assert_inputs_unchanged,
    assert_matches,
    assert_raises_value_error,
    assert_tensor,
    require,
)
from autograder.checking.tolerance import Tolerance

BY_HAND = Tolerance("four decimals", absolute=1e-4)


def row(*numbers):
    return torch.tensor([numbers], dtype=torch.float64)


@pytest.mark.points(1)
def test_frequencies(submission):
    """Four features and base 100 give the frequencies 1 and 0.1."""
    hint = "How many pairs do four features make, and which power of 100 belongs to each?"
    result = assert_tensor(submission.rotary_frequencies(4, base=100.0), (2,), what="the frequencies")
    assert_matches(result.double(), torch.tensor([1.0, 0.1]), what="the frequencies", tolerance=BY_HAND, hint=hint)
    assert_raises_value_error(lambda: submission.rotary_frequencies(5), when="head_dim is odd")


@pytest.mark.points(1)
def test_one_pair(submission):
    """(1, 0) at position 1 becomes (cos 1, sin 1), and at position 0 stays."""
    hint = "Draw the point (1, 0) and turn it by one radian, counterclockwise."
    assert_matches(
        submission.apply_rotary(row(1.0, 0.0), torch.tensor([0])), row(1.0, 0.0), what="(1, 0) at position 0", tolerance=BY_HAND, hint=hint
    )
    turned = submission.apply_rotary(row(1.0, 0.0), torch.tensor([1]))
    assert_matches(turned, row(0.5403, 0.8415), what="(1, 0) at position 1", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_neighbours_are_a_pair(submission):
    """In the interleaved layout, what stands in feature 0 moves to feature 1, and to no other."""
    hint = "Which features share an angle, and at which place is each put back?"
    turned = submission.apply_rotary(row(1.0, 0.0, 0.0, 0.0), torch.tensor([2]))
    assert_matches(turned, row(-0.4161, 0.9093, 0.0, 0.0), what="a unit vector at position 2", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_halves_make_pairs(submission):
    """In the half layout of four features, what stands in feature 0 moves to feature 2, and to no other."""
    hint = "Feature 0 and feature D/2 are a pair here."
    turned = submission.apply_rotary(row(1.0, 0.0, 0.0, 0.0), torch.tensor([2]), layout="half")
    assert_matches(turned, row(-0.4161, 0.0, 0.9093, 0.0), what="a unit vector at position 2", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_heads_and_batch(submission, tensors):
    """In x of shape (B, H, L, D), all heads turn by the position of their token, and lengths stay what they were."""
    x = tensors.normal((2, 3, 5, 4))
    turned = assert_tensor(submission.apply_rotary(x, torch.arange(5)), x.shape, torch.float64, what="the result")
    hint = "Is what you do to a pair a rotation: one minus sign, and both new features made of the old two?"
    assert_matches(turned.norm(dim=-1), x.norm(dim=-1), what="the length of the vectors", tolerance=BY_HAND, hint=hint)
    hint = "Along which dimension of (B, H, L, D) do positions change?"
    assert_matches(turned[:, :, 0], x[:, :, 0], what="what stands at position 0", tolerance=BY_HAND, hint=hint)
    require(float((turned[:, :, 3] - x[:, :, 3]).norm(dim=-1).min()) > 1e-3, "what stands at position 3 did not turn.", hint)
    assert_inputs_unchanged(submission)


@pytest.mark.points(1)
def test_only_distances_count(submission, tensors):
    """The module's output does not change when every position grows by 7, and does when the tokens move apart."""
    module = submission.RotaryMultiHeadAttention(12, 3).to(torch.float64).eval()
    x = tensors.normal((2, 5, 12))
    output = assert_tensor(module(x), x.shape, torch.float64, what="the output")
    hint = "Do queries and keys turn the same way, and nothing else?"
    assert_matches(module(x, torch.arange(5) + 7), output, what="the output for positions 7 … 11", tolerance=BY_HAND, hint=hint)
    apart = assert_tensor(module(x, 3 * torch.arange(5)), x.shape, what="the output")
    require(float((apart - output).norm()) > 1e-3, "the output is the same for tokens that stand further apart.", "Does forward use its positions?")
    assert_equal(module(x), output, what="a second output", hint="Does a call leave something behind for the next?")


@pytest.mark.points(1)
def test_mask_hides(submission, tensors):
    """With a causal mask, the first output does not change with later tokens."""
    module = submission.RotaryMultiHeadAttention(8, 2).to(torch.float64)
    x, later = tensors.normal((1, 4, 8), (1, 3, 8))
    mask = torch.ones(4, 4, dtype=torch.bool).triu(1)
    other = torch.cat([x[:, :1], later], dim=1)
    hint = "True in the mask means hidden."
    first = assert_tensor(module(x, mask=mask), x.shape, what="the output")[:, 0]
    assert_matches(module(other, mask=mask)[:, 0], first, what="the output of the first token", tolerance=BY_HAND, hint=hint)
    free = assert_tensor(module(x), x.shape, what="the output")
    require(
        float((module(other)[:, 0] - free[:, 0]).norm()) > 1e-6, "without a mask, later tokens do not count.", "Nothing is hidden without a mask."
    )
