"""Public tests of 10_transformer_xl: a few values worked out by hand, and properties that any right solution has.

    pytest assignments/10_transformer_xl

They are where to begin. The hidden tests also ask what the handout says beyond them.
"""

from __future__ import annotations

import pytest
import torch

from autograder.checking.assertions import assert_inputs_unchanged, assert_matches, assert_raises_value_error, assert_tensor, require
from autograder.checking.tolerance import Tolerance

BY_HAND = Tolerance("four decimals", absolute=1e-4)


@pytest.mark.points(1)
def test_three_distances(submission):
    """With two columns, the rows are the sine and the cosine of 2, 1 and 0."""
    expected = torch.tensor([[0.9093, -0.4161], [0.8415, 0.5403], [0.0, 1.0]])
    hint = "Which distance does the first row stand for, and which the last?"
    assert_matches(submission.relative_positional_encoding(3, 2), expected, what="the encoding", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_sines_then_cosines(submission):
    """Distance 0 reads 0, 0, 0, 1, 1, 1; an odd width is a ValueError."""
    encoding = assert_tensor(submission.relative_positional_encoding(4, 6), (4, 6), what="the encoding")
    expected = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    assert_matches(encoding[-1].double(), expected, what="the last row", tolerance=BY_HAND, hint="Do sines and cosines take turns? Here they do not.")
    assert_raises_value_error(lambda: submission.relative_positional_encoding(4, 5), when="d_model is odd")


@pytest.mark.points(1)
def test_shift_by_hand(submission):
    """Three queries and four keys: row 0 moves left by two, row 1 by one, row 2 stays."""
    scores = torch.tensor([[10.0, 11.0, 12.0, 13.0], [20.0, 21.0, 22.0, 23.0], [30.0, 31.0, 32.0, 33.0]])
    result = assert_tensor(submission.relative_shift(scores), (3, 4), what="the result")
    hint = "What each query may see: two keys, then three, then four."
    for row, values in enumerate(([12.0, 13.0], [21.0, 22.0, 23.0], [30.0, 31.0, 32.0, 33.0])):
        assert_matches(result[row, : row + 2], torch.tensor(values), what=f"row {row}", tolerance=BY_HAND, hint=hint)
    assert_inputs_unchanged(submission)


@pytest.mark.points(1)
def test_attention_sees_the_past_only(submission, tensors):
    """A change of one token changes the results from there on, and none before; a change of the memory changes all."""
    module = submission.RelativeMultiHeadAttention(6, 2).to(torch.float64)
    module.load_state_dict(tensors.state_like(module))
    x, memory = tensors.normal((1, 5, 6), (1, 3, 6))
    before = assert_tensor(module(x, memory), (1, 5, 6), torch.float64, what="the output")
    other = x.clone()
    other[0, 2] += 1
    changed = [float(row) > 1e-9 for row in (module(other, memory) - before).detach().abs().amax(dim=-1)[0]]
    hint = "Query i stands at key i + M. Which keys come after it?"
    require(not any(changed[:2]), "a query depends on a later token.", hint)
    require(all(changed[2:]), "a query does not depend on all tokens up to itself.", hint)
    changed = [float(row) > 1e-9 for row in (module(x, memory.flip(1)) - before).detach().abs().amax(dim=-1)[0]]
    require(all(changed), "a query does not notice the order of the memory.", "Does each key of the memory have its distance?")


@pytest.mark.points(1)
def test_memories_of_the_model(submission, tensors):
    """Each layer leaves the last mem_len positions of its input, and fewer when there were fewer."""
    model = submission.TransformerXL(7, 6, 2, 8, 2, 3).to(torch.float64)
    token_ids = tensors.integers((2, 5), high=7)
    memories = None
    for length, kept in ((2, 2), (2, 3), (1, 3)):
        logits, memories = model(token_ids[:, :length], memories)
        assert_tensor(logits, (2, length, 7), torch.float64, what="the logits")
        require(len(memories) == 2, f"there are {len(memories)} memories for two layers.")
        for memory in memories:
            assert_tensor(memory, (2, kept, 6), what="a memory")
            require(not memory.requires_grad, "a memory requires grad.", "What would happen to the graph after a thousand segments?")
    embedded = model.state_dict()["embedding.weight"][token_ids[:, :1]] * 6**0.5
    assert_matches(memories[0][:, -1:], embedded, what="the end of layer 0's memory", tolerance=BY_HAND, hint="What enters layer 0?")
    assert_raises_value_error(lambda: model(token_ids, memories[:1]), when="there is one memory for two layers")


@pytest.mark.points(1)
def test_two_segments_equal_one_pass(submission, tensors):
    """A text in two segments gives the logits of the whole text, when the memory is long enough."""
    model = submission.TransformerXL(7, 6, 2, 8, 2, 4).to(torch.float64)
    model.load_state_dict(tensors.state_like(model))
    token_ids = tensors.integers((2, 6), high=7)
    whole, _ = model(token_ids)
    first, memories = model(token_ids[:, :4])
    second, _ = model(token_ids[:, 4:], memories)
    hint = "Which keys does the second segment see, in which order, and at which distances?"
    assert_matches(first, whole[:, :4], what="the logits of the first segment", tolerance=BY_HAND, hint="Does a token see what comes after it?")
    assert_matches(second, whole[:, 4:], what="the logits of the second segment", tolerance=BY_HAND, hint=hint)
