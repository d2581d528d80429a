"""Public tests of 03_multi_head_attention: a few values worked out by hand, and properties that any right solution has.

    pytest assignments/03_multi_head_attention

They are where to begin. The hidden tests also ask what the handout says beyond them.
"""

from __future__ import annotations

import pytest
import torch

from autograder.checking.assertions import assert_equal, assert_finite, assert_matches, assert_raises_value_error, assert_tensor, require
from autograder.checking.tolerance import Tolerance

BY_HAND = Tolerance("four decimals", absolute=1e-4)


def plain(submission, d_model, num_heads):
    """A module whose projections change nothing."""
    module = submission.MultiHeadAttention(d_model, num_heads).to(torch.float64)
    identity = torch.eye(d_model, dtype=torch.float64)
    module.load_state_dict({name: identity if value.dim() == 2 else torch.zeros_like(value) for name, value in module.state_dict().items()})
    return module


@pytest.mark.points(1)
def test_shapes(submission, tensors):
    """The output is (B, L, E), the weights are (B, H, L, S), for self- and cross-attention."""
    module = submission.MultiHeadAttention(6, 3).to(torch.float64)
    x, y = tensors.normal((2, 4, 6), (2, 5, 6))
    for sequence, keys in ((x, 4), (y, 5)):
        output, weights = module(x, sequence, sequence)
        assert_tensor(output, (2, 4, 6), what="the output")
        assert_tensor(weights, (2, 3, 4, keys), what="the weights")
        hint = "In each head, each query spreads a weight of 1: over which dimension?"
        assert_matches(weights.sum(-1), torch.ones(2, 3, 4), what="the sum of a query's weights", hint=hint)


@pytest.mark.points(1)
def test_each_head_compares_its_own_features(submission):
    """With two heads, the first compares features 0 and 1, the second features 2 and 3."""
    module = plain(submission, 4, 2)
    query = torch.tensor([[[2.0, 0.0, 0.0, 1.0]]], dtype=torch.float64)
    key = torch.tensor([[[1.0, 0.0, 5.0, 0.0], [0.0, 1.0, 5.0, 3.0]]], dtype=torch.float64)
    _, weights = module(query, key, key)
    # Scores over sqrt(2): head 0 has 2 and 0, head 1 has 0 and 3.
    expected = torch.tensor([[[[0.8044, 0.1956]], [[0.1070, 0.8930]]]])
    hint = "Which features does each head get to see, and what is the square root of their number?"
    assert_matches(weights, expected, what="the weights", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_heads_stand_side_by_side(submission, tensors):
    """When a query sees one key only, and no projection changes anything, it gets that key's value back."""
    module = plain(submission, 6, 2)
    query, key, value = tensors.normal((1, 4, 6), (1, 4, 6), (1, 4, 6))
    sees = torch.tensor([2, 0, 3, 1])
    output, _ = module(query, key, value, torch.arange(4) != sees[:, None])
    hint = "Follow one query through split and merge: which dimension has to be next to which before you reshape?"
    assert_matches(output, value[:, sees], what="the output", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_true_is_hidden(submission, tensors):
    """True in a mask hides a key; what is left adds up to 1 again."""
    module = submission.MultiHeadAttention(6, 3).to(torch.float64)
    query, key = tensors.normal((2, 4, 6), (2, 5, 6))
    mask = torch.arange(5).expand(4, 5) > 2
    _, weights = module(query, key, key, mask)
    assert_tensor(weights, (2, 3, 4, 5), what="the weights")
    require(not weights[..., 3:].any(), "a hidden key has a weight.", "Which value of the mask means hidden here?")
    hint = "Is the mask applied to the scores or to the weights?"
    assert_matches(weights.sum(-1), torch.ones(2, 3, 4), what="the sum of a query's weights under a mask", hint=hint)


@pytest.mark.points(1)
def test_query_that_sees_nothing(submission, tensors):
    """When every key is hidden, the output is the bias of w_o."""
    module = submission.MultiHeadAttention(6, 3).to(torch.float64)
    query, key = tensors.normal((1, 2, 6), (1, 5, 6))
    output, weights = module(query, key, key, torch.ones(2, 5, dtype=torch.bool))
    assert_finite(weights, what="the weights", hint="What is the softmax of a row in which every score is −∞?")
    expected = module.state_dict()["w_o.bias"].expand(1, 2, 6)
    assert_matches(output, expected, what="the output", hint="If all heads are zero, what does w_o make of them?")


@pytest.mark.points(1)
def test_three_dimensional_mask(submission, tensors):
    """A 3-D mask raises ValueError: nobody can tell whether it means (B, L, S) or (H, L, S)."""
    module = submission.MultiHeadAttention(6, 3).to(torch.float64)
    x = tensors.normal((3, 4, 6))
    module(x, x, x)
    assert_raises_value_error(lambda: module(x, x, x, torch.zeros(3, 4, 4, dtype=torch.bool)), when="the mask is 3-D")


@pytest.mark.points(1)
def test_eval_mode_is_repeatable(submission, tensors):
    """In eval mode nothing is dropped: two calls agree to the last bit."""
    module = submission.MultiHeadAttention(6, 3, dropout=0.5).to(torch.float64).eval()
    x = tensors.normal((2, 4, 6))
    (first, _), (second, _) = module(x, x, x), module(x, x, x)
    assert_equal(second.detach(), first.detach(), what="a second output in eval mode", hint="Who tells your dropout that training is over?")
