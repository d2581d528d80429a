"""Public tests of 09_flash_attention: a small example worked out by hand, and properties that any right solution has.

    pytest assignments/09_flash_attention

They are where to begin. The hidden tests also ask what the handout says beyond them.
"""

from __future__ import annotations

import pytest
import torch

from autograder.checking.assertions import assert_inputs_unchanged, assert_matches, assert_raises_value_error, assert_tensor, require
from autograder.checking.tolerance import Tolerance

BY_HAND = Tolerance("four decimals", absolute=1e-4)


def column(*numbers):
    """One sequence of these numbers, one feature wide."""
    return torch.tensor(numbers, dtype=torch.float64).unsqueeze(-1)


@pytest.mark.points(1)
def test_two_tiles_by_hand(submission):
    """One query, four keys in two tiles: the output and the logsumexp that you can work out by hand."""
    with torch.no_grad():
        output, logsumexp = submission.flash_attention_forward(column(1), column(0, 1, 3, 1), column(1, 2, 3, 4), False, 1.0, 1, 2)
    hint = "What happens to the sums of the first tile when the second one brings a larger score?"
    assert_matches(output, column(2.9246), what="the output", tolerance=BY_HAND, hint=hint)
    hint = "Is it the maximum and the logarithm of the sum, together?"
    assert_matches(logsumexp, torch.tensor([3.2780], dtype=torch.float64), what="the logsumexp", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_tiles_change_nothing(submission, tensors):
    """Whatever the blocks, the result is the same."""
    query, key, value = tensors.normal((2, 5, 3), (2, 8, 3), (2, 8, 4))
    with torch.no_grad():
        whole, of_whole = submission.flash_attention_forward(query, key, value, False, None, 8, 8)
        for block_q, block_k in ((2, 3), (1, 1), (5, 4)):
            output, logsumexp = submission.flash_attention_forward(query, key, value, False, None, block_q, block_k)
            hint = "Which block is the last one, and how long is it?"
            assert_matches(output, whole, what=f"the output with tiles of {block_q} × {block_k}", hint=hint)
            assert_matches(logsumexp, of_whole, what=f"the logsumexp with tiles of {block_q} × {block_k}", hint=hint)


@pytest.mark.points(1)
def test_same_values_give_themselves(submission, tensors):
    """When all values are alike, so is every output: the weights sum to 1."""
    query, key = tensors.normal((3, 5, 2), (3, 7, 2))
    with torch.no_grad():
        output, _ = submission.flash_attention_forward(query, key, torch.full((3, 7, 4), 2.5).double(), False, None, 2, 3)
    expected = torch.full((3, 5, 4), 2.5).double()
    assert_matches(output, expected, what="the output", tolerance=BY_HAND, hint="Where is it divided, by what, and how often?")


@pytest.mark.points(1)
def test_causal_sees_the_past_only(submission, tensors):
    """Causal: changing the last key and value changes the last query's output only, and the first query sees the first key alone."""
    query, key, value = tensors.normal((5, 3), (5, 3), (5, 2))
    with torch.no_grad():
        before, _ = submission.flash_attention_forward(query, key, value, True, None, 2, 3)
        key[-1], value[-1] = 1.5, -2.0
        after, _ = submission.flash_attention_forward(query, key, value, True, None, 2, 3)
    assert_matches(before[0], value[0], what="the output of the first query", tolerance=BY_HAND, hint="How many keys does it see?")
    assert_matches(after[:-1], before[:-1], what="the output of an earlier query", hint="Which keys come after which query?")
    require(not torch.equal(after[-1], before[-1]), "the last query does not see the last key.", "Does a query see itself?")


@pytest.mark.points(1)
def test_backward_by_hand(submission):
    """One query, two keys: the gradients that you can work out by hand."""
    query, key, value = column(1), column(0, 1), column(2, 4)
    output, logsumexp = column(3.462117), torch.tensor([1.313262], dtype=torch.float64)
    with torch.no_grad():
        gradients = submission.flash_attention_backward(column(1), query, key, value, output, logsumexp, False, 1.0, 1, 1)
    require(isinstance(gradients, tuple | list) and len(gradients) == 3, "flash_attention_backward does not return three gradients.")
    hint = "The weights are exp(score − logsumexp). What multiplies them in each of the three?"
    for gradient, expected, name in zip(
        gradients, (column(0.3932), column(-0.3932, 0.3932), column(0.2689, 0.7311)), ("query", "key", "value"), strict=True
    ):
        assert_matches(gradient, expected, what=f"the gradient of {name}", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_gradients_flow(submission, tensors):
    """flash_attention can be differentiated, and changes nothing that it is given."""
    query, key, value = tensors.normal((2, 5, 3), (2, 6, 3), (2, 6, 2))
    leaves = [x.clone().requires_grad_() for x in (query, key, value)]
    output = assert_tensor(submission.flash_attention(*leaves, True, None, 2, 4), (2, 5, 2), what="the result")
    require(output.requires_grad, "no gradient flows through the result.", "Does flash_attention go through FlashAttention.apply?")
    gradients = torch.autograd.grad(output, leaves, torch.ones_like(output))
    # Adding a number to all values adds it to the output, so the gradient of the values sums to that of the output.
    total = gradients[2].sum(dim=(1, 2))
    assert_matches(
        total, torch.full((2,), 10.0).double(), what="the sum of the values' gradient", tolerance=BY_HAND, hint="Is each block added to it?"
    )
    submission.flash_attention(query, key, value, True, None, 8, 8)
    assert_inputs_unchanged(submission)


@pytest.mark.points(1)
def test_what_does_not_fit(submission, tensors):
    """Another number of features, or a block of 0, is a ValueError."""
    query, key, value = tensors.normal((2, 5, 3), (2, 6, 3), (2, 6, 2))
    assert_raises_value_error(lambda: submission.flash_attention(query, key[..., :2], value), when="query and key have different numbers of features")
    assert_raises_value_error(lambda: submission.flash_attention(query, key, value, False, None, 0, 4), when="block_q is 0")
