"""Public tests of 05_causal_decoder: a few values worked out by hand, and properties that any right solution has.

    pytest assignments/05_causal_decoder

They are where to begin. The hidden tests also ask what the handout says beyond them.
"""

from __future__ import annotations

import pytest
import torch

from autograder.checking.assertions import assert_equal, assert_finite, assert_matches, assert_raises_value_error, assert_tensor, require
from autograder.checking.tolerance import Tolerance

BY_HAND = Tolerance("four decimals", absolute=1e-4)


def example(submission):
    """The block of the handout's worked example."""
    block = submission.DecoderBlock(2, 1, 2, norm_first=True, cross_attention=False).to(torch.float64)
    eye, zeros = torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    state = {f"{name}.bias": zeros for name in ("norm1", "norm3", "linear1", "linear2")}
    state |= {"norm1.weight": zeros + 1, "norm3.weight": zeros + 1, "linear1.weight": eye, "linear2.weight": torch.tensor([[0.0, 2.0], [1.0, 0.0]])}
    state |= {"self_attention.in_proj_weight": eye.repeat(3, 1), "self_attention.in_proj_bias": zeros.repeat(3)}
    state |= {"self_attention.out_proj.weight": eye, "self_attention.out_proj.bias": torch.tensor([0.0, 1.0])}
    block.load_state_dict(state)
    return block, torch.tensor([[[3.0, 1.0], [0.0, 2.0], [5.0, 1.0]]], dtype=torch.float64)


@pytest.mark.points(1)
def test_shapes(submission, tensors):
    """The block gives (B, L, E), with a memory and without; the language model (B, L, V)."""
    x, memory = tensors.normal((2, 5, 6), (2, 3, 6), dtype=torch.float32)
    assert_tensor(submission.DecoderBlock(6, 3, 8, cross_attention=False)(x), (2, 5, 6), what="the output of a block without memory")
    assert_tensor(submission.DecoderBlock(6, 3, 8)(x, memory), (2, 5, 6), what="the output of a block with memory")
    token_ids = tensors.integers((2, 5), high=11)
    assert_tensor(submission.CausalLM(11, 6, 3, 8, 2, max_len=7)(token_ids), (2, 5, 11), what="the logits")


@pytest.mark.points(1)
def test_worked_example(submission):
    """The block gives the numbers of the handout."""
    block, x = example(submission)
    expected = torch.tensor([[[4.0, 2.0], [1.1116, 3.8884], [5.9426, 2.0574]]])
    hint = "Go through the handout's example step by step: which of its tables is the first that you do not get?"
    assert_matches(block(x), expected, what="the output of the worked example", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_no_look_ahead(submission, tensors):
    """When later positions change, earlier outputs stay."""
    block = submission.DecoderBlock(6, 3, 8, cross_attention=False).to(torch.float64)
    x, other = tensors.normal((2, 5, 6), (2, 5, 6))
    changed = torch.cat([x[:, :3], other[:, 3:]], dim=1)
    result, after = block(x).detach(), block(changed).detach()
    assert_matches(after[:, :3], result[:, :3], what="the output before the change", hint="Which keys may position i see? Is True hidden?")
    require(not torch.equal(after[:, 3:], result[:, 3:]), "the output does not change where x does.", "Does the result depend on x at all?")


@pytest.mark.points(1)
def test_memory_padding(submission, tensors):
    """Padding of the memory might as well not be there."""
    block = submission.DecoderBlock(6, 3, 8).to(torch.float64)
    x, memory = tensors.normal((2, 4, 6), (2, 5, 6))
    mask = torch.tensor([[False, False, False, True, True]]).repeat(2, 1)
    result = block(x, memory, memory_padding_mask=mask)
    hint = "Which attention needs this mask, and does it need a causal one as well?"
    assert_matches(result, block(x, memory[:, :3]).detach(), what="the output with padding of the memory", hint=hint)
    require(not torch.equal(result, block(x, memory)), "the mask of the memory changes nothing.", "Is it handed on?")


@pytest.mark.points(1)
def test_left_padding(submission):
    """A row that sees nothing gets the bias of the output projection from attention."""
    block, x = example(submission)
    result = block(x, padding_mask=torch.tensor([[True, False, False]]))
    assert_finite(result, what="the output with left padding", hint="What does nn.MultiheadAttention do with need_weights=False?")
    expected = torch.tensor([[[3.0, 3.0], [1.0, 4.0], [5.8884, 2.1116]]])
    hint = "Who may see position 0 when it is padding? Not even itself: what does attention give it then?"
    assert_matches(result, expected, what="the output of the worked example with padding", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_head_is_the_embedding(submission, tensors):
    """The head uses the embedding: a token whose embedding is zero always gets a logit of 0."""
    model = submission.CausalLM(11, 6, 3, 8, 2, max_len=7).to(torch.float64)
    token_ids = tensors.integers((2, 5), high=11)
    model(token_ids)
    state = model.state_dict()
    state["embedding.weight"][4] = 0.0
    model.load_state_dict(state)
    logits = assert_tensor(model(token_ids), (2, 5, 11), what="the logits").detach()
    hint = "Does the head use the embedding's weight of this moment, and nothing else?"
    assert_equal(logits[..., 4], torch.zeros(2, 5, dtype=torch.float64), what="the logit of such a token", hint=hint)
    require(bool(logits.any()), "all logits are 0.")


@pytest.mark.points(1)
def test_errors(submission, tensors):
    """A missing memory, or more tokens than max_len, raise ValueError."""
    x, memory = tensors.normal((2, 4, 6), (2, 3, 6), dtype=torch.float32)
    block = submission.DecoderBlock(6, 3, 8)
    block(x, memory)
    assert_raises_value_error(lambda: block(x), when="the memory is missing")
    model = submission.CausalLM(11, 6, 3, 8, 1, max_len=7)
    model(tensors.integers((1, 7), high=11))
    assert_raises_value_error(lambda: model(tensors.integers((1, 8), high=11)), when="there are more tokens than max_len")
