"""Public tests of 04_encoder_block: a few values worked out by hand, and properties that any right solution has.

    pytest assignments/04_encoder_block

They are where to begin. The hidden tests also ask what the handout says beyond them.
"""

from __future__ import annotations

import pytest
import torch

from autograder.checking.assertions import assert_equal, assert_finite, assert_matches, assert_raises_value_error, assert_tensor, require
from autograder.checking.tolerance import Tolerance

BY_HAND = Tolerance("four decimals", absolute=1e-4)


def numbers(*rows):
    return torch.tensor(rows, dtype=torch.float64)


# The feed-forward network of the worked example.
FEED_FORWARD = {
    "linear1.weight": numbers([1, 0, 0, 0], [0, -1, 0, 1]),
    "linear1.bias": numbers(0.5, 0.5),
    "linear2.weight": numbers([1, 0], [0, 1], [1, 0], [0, 2]),
    "linear2.bias": numbers(0, 1, 0, 0),
}
POSITIONS = numbers([1, 3, 2, 6], [3, 1, 2, 2], [9, -9, 9, -9])[None]  # (1, 3, 4)
PADDING = torch.tensor([[False, False, True]])


def block_of_the_example(submission, norm_first):
    """One head that gives every position the mean of those that are not hidden."""
    block = submission.EncoderBlock(4, 1, 2, norm_first=norm_first).to(torch.float64)
    state = {name: torch.ones_like(value) if "norm" in name else torch.zeros_like(value) for name, value in block.state_dict().items()}
    state |= {"norm1.bias": torch.zeros(4), "norm2.bias": torch.zeros(4)} | {f"feed_forward.{name}": value for name, value in FEED_FORWARD.items()}
    state["self_attention.in_proj_weight"][8:] = torch.eye(4)  # the values; queries and keys are 0
    state["self_attention.out_proj.weight"] = torch.eye(4)
    block.load_state_dict(state)
    return block


def entries_below(prefix, state):
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


@pytest.mark.points(1)
def test_layer_norm(submission):
    """(1, 3, 2, 6) has mean 3 and variance 3.5, and is normalised with them."""
    result = submission.LayerNorm(4).to(torch.float64)(POSITIONS)
    hint = "Over which dimension is the mean taken? By what is the sum of squares divided?"
    assert_tensor(result, (1, 3, 4), what="the normalised features")
    assert_matches(result[0, 0], numbers(-1.0690, 0, -0.5345, 1.6036), what="the normalised features", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_layer_norm_of_small_features(submission):
    """For features a thousand times smaller eps decides what comes out."""
    result = submission.LayerNorm(4).to(torch.float64)(POSITIONS / 1000)
    hint = "To what is eps added: to the variance, or to its root?"
    assert_tensor(result, (1, 3, 4), what="the normalised small features")
    assert_matches(result[0, 0], numbers(-0.5443, 0, -0.2722, 0.8165), what="the normalised small features", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_layer_norm_scale_and_shift(submission):
    """Each feature is multiplied by its weight, then its bias is added."""
    norm = submission.LayerNorm(4).to(torch.float64)
    norm.load_state_dict({"weight": numbers(1, 2, 0, 10), "bias": numbers(0, 5, 7, 1)})
    hint = "What do weight and bias do, and in which order?"
    result = norm(POSITIONS[0, 0])
    assert_matches(result, numbers(-1.0690, 5, 7, 17.0357), what="the result for a single position", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_feed_forward(submission):
    """linear2(relu(linear1(x))), worked out by hand."""
    module = submission.FeedForward(4, 2).to(torch.float64)
    module.load_state_dict(FEED_FORWARD)
    # Hidden units: 1 + 0.5 and -3 + 6 + 0.5; then -2 + 0.5, which ReLU makes 0, and -1 - 1 + 0.5, too.
    result = module(numbers([1, 3, 2, 6], [-2, 1, 0, -1])[None])
    hint = "Where does the activation stand? Which biases are added?"
    assert_matches(result, numbers([1.5, 4.5, 1.5, 7], [0, 1, 0, 0])[None], what="the result", hint=hint)


@pytest.mark.points(1)
def test_gelu(submission):
    """GELU is exact: at 1 it is Φ(1) = 0.841345, and its approximation by tanh would be 0.841192."""
    module = submission.FeedForward(1, 1, "gelu").to(torch.float64)
    module.load_state_dict({"linear1.weight": numbers([1]), "linear1.bias": numbers(0), "linear2.weight": numbers([1]), "linear2.bias": numbers(0)})
    hint = "What does F.gelu do unless told otherwise? Is it asked for at all?"
    result = module(numbers([1], [-1])[None])
    assert_matches(result, numbers([0.841345], [-0.158655])[None], what="gelu", tolerance=Tolerance("six decimals", absolute=1e-6), hint=hint)
    assert_raises_value_error(lambda: submission.FeedForward(4, 2, "tanh"), when='activation is "tanh"')


@pytest.mark.points(1)
def test_post_norm(submission):
    """The worked example in the paper's order."""
    result = block_of_the_example(submission, norm_first=False)(POSITIONS, PADDING)
    assert_tensor(result, (1, 3, 4), what="the block's output")
    hint = "Compare line by line with the handout: the mean, the sum, norm1 of the sum, …"
    assert_matches(result[0, 0], numbers(-0.9860, 0.3860, -0.8617, 1.4616), what="the first position's output", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_norm_first(submission):
    """The worked example with norm_first."""
    result = block_of_the_example(submission, norm_first=True)(POSITIONS, PADDING)
    assert_tensor(result, (1, 3, 4), what="the block's output")
    hint = "Compare line by line with the handout. What is the sub-layer's result added to: x, or norm(x)?"
    expected = numbers(1.1726, 5.8144, 1.7327, 11.8449)
    assert_matches(result[0, 0], expected, what="the first position's output with norm_first", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_padding_is_hidden(submission, tensors):
    """What padding holds changes no other row, and a padded row is computed like any other."""
    block = submission.EncoderBlock(6, 2, 5).to(torch.float64)
    x = tensors.normal((2, 4, 6))
    padding = torch.tensor([[False, False, True, True], [True, False, False, False]])
    result = block(x, padding)
    changed = block(torch.where(padding[..., None], tensors.normal((2, 4, 6)), x), padding)
    assert_tensor(result, (2, 4, 6), what="the block's output")
    hint = "Does the mask reach the attention, and as which of its arguments? True is hidden."
    assert_matches(changed[~padding], result[~padding].detach(), what="the output after a change of the padding", hint=hint)
    twins = x.clone()
    twins[0, 2] = twins[0, 0]
    result = block(twins, padding).detach()
    hint = "The mask hides keys. What happens to a query that is padding?"
    assert_matches(result[0, 2], result[0, 0], what="a padded row, beside one with the same features,", hint=hint)


@pytest.mark.points(1)
def test_sequence_of_padding_alone(submission, tensors):
    """Where everything is hidden, attention gives the bias of its output projection."""
    block = submission.EncoderBlock(6, 3, 5, norm_first=True).to(torch.float64)
    bias = tensors.normal((6,))
    state = {name: torch.zeros_like(value) if "linear2" in name else value for name, value in block.state_dict().items()}
    block.load_state_dict(state | {"self_attention.out_proj.bias": bias})
    x = tensors.normal((2, 4, 6))
    result = block(x, torch.tensor([[True] * 4, [False] * 4]))
    assert_finite(result, what="the output", hint="What does nn.MultiheadAttention give with need_weights=True, its default?")
    # The feed-forward network gives 0 here, so x + bias is all there is.
    assert_matches(
        result[0],
        x[0] + bias,
        what="the output of a sequence of padding",
        hint="Zeros from every head: what does the output projection make of them?",
    )


@pytest.mark.points(1)
def test_stack(submission, tensors):
    """The encoder is its blocks in order; with norm_first a layer norm follows."""
    x, padding = tensors.normal((2, 4, 6)), torch.tensor([[False, False, False, True], [False] * 4])
    for norm_first in (False, True):
        encoder = submission.Encoder(3, 6, 2, 5, norm_first=norm_first).to(torch.float64)
        state = encoder.state_dict()
        block, norm = submission.EncoderBlock(6, 2, 5, norm_first=norm_first).to(torch.float64), submission.LayerNorm(6).to(torch.float64)
        expected = x
        for i in range(3):
            block.load_state_dict(entries_below(f"layers.{i}.", state))
            expected = assert_tensor(block(expected, padding), (2, 4, 6), what="a block's output").detach()
        if norm_first:
            norm.load_state_dict(entries_below("norm.", state))
            expected = norm(expected).detach()
        hint = "Is every block called, in order, and with the mask? When does a norm follow?"
        what = f"the encoder's output{' with norm_first' if norm_first else ''}"
        assert_matches(encoder(x, padding), expected, what=what, hint=hint)
        names = {name for name, _ in encoder.named_parameters()}
        hint = "Each layer has parameters of its own. Was the constructor changed?"
        require(names == set(state), "the state dict of the encoder has entries that are no parameter of their own.", hint)


@pytest.mark.points(1)
def test_eval_mode_is_repeatable(submission, tensors):
    """In eval mode nothing is dropped: two calls agree to the last bit. In train mode they differ."""
    block = submission.EncoderBlock(6, 2, 5, dropout=0.5).to(torch.float64).eval()
    x = tensors.normal((2, 4, 6))
    first = assert_tensor(block(x), (2, 4, 6), what="the output").detach()
    assert_equal(block(x).detach(), first, what="a second output in eval mode", hint="Who tells your dropout that training is over?")
    block.train()
    require(not torch.equal(block(x), block(x)), "two calls in train mode agree although dropout=0.5.", "Are the dropout layers called?")
