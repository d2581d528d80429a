"""Hidden suite of 10_transformer_xl: the encoding of distances, the shift, attention with a memory, and the model that reads in segments.

Later stages are held against the submission's own earlier results where that can be, so that one mistake costs mainly the tests about it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.checking.assertions import (
    assert_equal,
    assert_inputs_unchanged,
    assert_matches,
    assert_raises_value_error,
    assert_tensor,
    require,
)
from autograder.checking.tensors import Tensors
from autograder.checking.tolerance import LOGIC, table
from autograder.hidden_tests import naive_transformer_xl as naive
from autograder.hidden_tests.transformer_xl_checks import AttentionPair, ModelPair, attention_state, gradients, leaves, model_state

LAST = slice(-1, None)  # the last query sees every key, and the shift leaves its row as it is

# The encoding of distances


@pytest.mark.points(0.5)
def test_distance_zero_comes_last(submission: Any) -> None:
    """The last row encodes distance 0: all sines are 0, all cosines 1."""
    for length, d_model in ((5, 8), (1, 6), (11, 2)):
        result = assert_tensor(submission.relative_positional_encoding(length, d_model), (length, d_model), what="the encoding")
        require(result.dtype in (torch.float32, torch.float64), f"the encoding is {result.dtype}; float64 (or float32) was expected.")
        half = d_model // 2
        hint = "Which distance does the last row stand for, and which columns hold sines?"
        assert_matches(result[-1, :half], torch.zeros(half), what="the sines of the last row", tolerance=table(0), hint=hint)
        assert_matches(result[-1, half:], torch.ones(half), what="the cosines of the last row", tolerance=table(0), hint=hint)


@pytest.mark.points(1.5)
def test_encoding_of_distances(submission: Any) -> None:
    """Row k encodes the distance length − 1 − k, the farthest first."""
    hint = "Which distance is row 0? Are the sines in the first half of the columns, and what is the exponent of the second pair?"
    for length, d_model in ((7, 6), (4, 10), (13, 2), (2, 16), (1, 4)):
        expected = naive.distance_rows(range(length - 1, -1, -1), d_model)
        result = submission.relative_positional_encoding(length, d_model)
        assert_matches(result, expected, what="the encoding", tolerance=table(length), hint=hint)
    result = assert_tensor(submission.relative_positional_encoding(length=2003, d_model=4), (2003, 4), what="a long encoding")
    for first in (0, 997, 1990):
        expected = naive.distance_rows(range(2002 - first, 1989 - first, -1), 4)
        assert_matches(result[first : first + 13], expected, what="a part of a long encoding", tolerance=table(2003), hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_encoding_of_distances")
def test_odd_width(submission: Any) -> None:
    """An odd d_model is a ValueError: sines and cosines come in equal numbers."""
    for length, d_model in ((5, 7), (3, 1), (1, 5), (6, 3)):
        assert_raises_value_error(partial(submission.relative_positional_encoding, length, d_model), when="d_model is odd")


# The shift


def _check_shift(submission: Any, scores: Tensor, *, when: str, hint: str) -> None:
    expected, unspecified = naive.shifted(scores)
    result = assert_tensor(submission.relative_shift(scores), scores.shape, scores.dtype, what=f"the result{when}")
    assert_matches(result.masked_fill(unspecified, 0.0), expected, what=f"the result{when}", tolerance=LOGIC, hint=hint)


@pytest.mark.points(1.5)
def test_shift_of_a_square(submission: Any, tensors: Tensors) -> None:
    """With as many keys as queries, row i moves left by L − 1 − i."""
    hint = "Write a 3 × 3 example down: which column of row 0 holds distance 0, and at which key does it belong?"
    for shape in ((1, 1, 5, 5), (2, 3, 4, 4), (2, 2, 1, 1), (1, 2, 2, 2), (3, 1, 7, 7)):
        _check_shift(submission, tensors.normal(shape), when=" for L = S", hint=hint)


@pytest.mark.points(1)
def test_shift_with_more_keys(submission: Any, tensors: Tensors) -> None:
    """With a memory there are more keys than queries, and the last row still stays where it is."""
    hint = "How far does row i move? That depends on the number of queries, not on that of keys. Is the result read off with the right row length?"
    for shape in ((1, 1, 3, 5), (2, 3, 5, 8), (2, 2, 1, 6), (1, 2, 4, 11), (2, 1, 6, 7), (1, 1, 2, 13)):
        _check_shift(submission, tensors.normal(shape), when=" for L < S", hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_shift_of_a_square", "test_shift_with_more_keys")
def test_shift_of_any_layout(submission: Any, tensors: Tensors) -> None:
    """Any leading dimensions, dtype and order in memory will do, and the caller's scores stay as they are."""
    hint = "Which step of yours assumes a number of dimensions or an order in memory?"
    layouts = {
        "without leading dimensions": tensors.normal((4, 7)),
        "with one leading dimension": tensors.normal((3, 4, 7)),
        "with three leading dimensions": tensors.normal((2, 1, 3, 2, 5)),
        "of transposed scores": tensors.normal((2, 3, 7, 4)).transpose(-1, -2),
        "of scores laid out as (L, S, B, H)": tensors.normal((4, 7, 2, 3)).permute(2, 3, 0, 1),
        "of scores expanded over the batch": tensors.normal((1, 3, 4, 7)).expand(2, 3, 4, 7),
        "of scores expanded over the queries": tensors.normal((2, 3, 1, 7)).expand(2, 3, 4, 7),
        "of every other column": tensors.normal((2, 3, 4, 14))[..., ::2],
        "of a part of larger scores": tensors.normal((2, 3, 6, 9))[..., 1:5, 2:],
        "for float32": tensors.normal((2, 3, 4, 7), dtype=torch.float32),
        "for bfloat16": tensors.normal((2, 3, 4, 7), dtype=torch.bfloat16),
        "of one query": tensors.normal((2, 3, 14))[:, 1:2, ::2],
    }
    for when, scores in layouts.items():
        _check_shift(submission, scores, when=f" {when}", hint=hint)
        with torch.no_grad():
            _check_shift(submission, scores.detach().flip(0), when=f" {when}, under no_grad", hint=hint)
    assert_inputs_unchanged(submission)


# Attention


@pytest.mark.points(0.5)
def test_one_token(submission: Any, tensors: Tensors) -> None:
    """A token that sees only itself takes its own value, whatever the scores."""
    for batch, num_heads, d_model in ((3, 2, 10), (2, 3, 6)):
        pair = AttentionPair(submission, tensors, d_model, num_heads)
        x, _ = pair.inputs(batch, 1, 1)
        hint = "A weight of 1 takes the value as it is: which two layers does it go through? Nothing else is added."
        pair.check(x, when=" for one token", hint=hint)


@pytest.mark.points(1)
def test_content_scores(submission: Any, tensors: Tensors) -> None:
    """Without w_r, a score is (q + u) · k / √D."""
    hint = "Only the content term is left: to what is u added, and by what is the inner product of one head divided?"
    for batch, length, num_heads, d_model in ((2, 5, 2, 10), (3, 4, 4, 12)):
        pair = AttentionPair(submission, tensors, d_model, num_heads, state={"w_r.weight": torch.zeros(d_model, d_model).double()})
        x, _ = pair.inputs(batch, length, 1)
        pair.check(x, queries=LAST, when=" of the last query by content alone", hint=hint)


@pytest.mark.points(1)
def test_position_scores(submission: Any, tensors: Tensors) -> None:
    """Without w_k, a score is (q + v) · (w_r R) / √D, with R the encoding of the distance back to the key."""
    hint = "Only the position term is left: to what is v added, which distance is each key at, and is this term divided as well?"
    for batch, length, num_heads, d_model in ((2, 5, 2, 10), (3, 4, 4, 12)):
        pair = AttentionPair(submission, tensors, d_model, num_heads, state={"w_k.weight": torch.zeros(d_model, d_model).double()})
        x, _ = pair.inputs(batch, length, 1)
        pair.check(x, queries=LAST, when=" of the last query by position alone", hint=hint)


@pytest.mark.points(1)
def test_segment_without_memory(submission: Any, tensors: Tensors) -> None:
    """Each query of a segment sees the keys up to itself, each at its distance."""
    hint = "Is the right one shifted, and shifted before the softmax? Does query i see key i, and no later one?"
    for batch, length, num_heads, d_model in ((2, 5, 2, 6), (3, 4, 3, 12), (1, 7, 1, 4)):
        pair = AttentionPair(submission, tensors, d_model, num_heads)
        x, _ = pair.inputs(batch, length, 1)
        pair.check(x, when=" without a memory", hint=hint)


@pytest.mark.points(1)
def test_segment_with_memory(submission: Any, tensors: Tensors) -> None:
    """Keys and values also come from the memory, which stands before the segment."""
    hint = "Queries come from x, keys and values from memory and x in that order. How many keys does query 0 see, and how long is the encoding?"
    for batch, length, before, num_heads, d_model in ((2, 5, 3, 2, 6), (3, 3, 7, 3, 12), (2, 4, 4, 2, 10), (1, 1, 6, 2, 4), (2, 6, 1, 1, 8)):
        pair = AttentionPair(submission, tensors, d_model, num_heads)
        pair.check(*pair.inputs(batch, length, before), when=" with a memory", hint=hint)


@pytest.mark.points(1)
def test_sees_its_past_and_itself(submission: Any, tensors: Tensors) -> None:
    """A query depends on each position of memory and segment up to its own, and on no other: exactly."""
    batch, length, before = 2, 5, 3
    pair = AttentionPair(submission, tensors, 6, 2)
    memory = tensors.normal((batch, before, 6))
    for given, when in ((None, ""), (memory, " with a memory")):
        x = tensors.normal((batch, length, 6), requires_grad=True)
        output = pair.attend(x, given)
        for i in range(length):
            cotangent = torch.zeros_like(output)
            cotangent[0, i] = tensors.normal((6,))
            (gradient,) = gradients(output, [x], cotangent)
            require(not gradient[1].any(), f"one sequence depends on another{when}.", "Which dimension is the batch?")
            reached = gradient[0].abs().sum(dim=-1) > 0
            hint = "Where does the mask's diagonal lie when there are M keys before the segment, and is a hidden weight exactly 0?"
            require(not reached[i + 1 :].any(), f"a query depends on a later token{when}.", hint)
            require(bool(reached[: i + 1].all()), f"a query does not depend on every token up to itself{when}.", hint)
    x = tensors.normal((batch, length, 6))
    output = pair.attend(x, memory)
    for j in range(before):
        other = memory.clone()
        other[0, j] += tensors.normal((6,))
        moved = (pair.attend(x, other) - output).detach().abs().amax(dim=-1)
        hint = "Does every query see the whole memory, and each sequence its own?"
        require(bool((moved[0] > 1e-9).all()), "a query does not depend on every position of the memory.", hint)
        require(not (moved[1] > 1e-12).any(), "a sequence depends on the memory of another.", hint)


@pytest.mark.points(1)
def test_memory_is_a_constant(submission: Any, tensors: Tensors) -> None:
    """Gradients reach the segment and every weight, also by way of the memory's keys and values, but not the memory."""
    for length, before in ((4, 3), (2, 5), (3, 0)):
        pair = AttentionPair(submission, tensors, 6, 2)
        x, memory = pair.inputs(2, length, before, requires_grad=True)
        parameters, cotangent = pair.learned(), tensors.normal((2, length, 6))
        given = memory if before else None
        hint = "Is the result itself off, before any gradient?"
        encodings = pair.check(x, given, when=" whose gradient is asked for", hint=hint)
        found = gradients(pair.attend(x, given), [x, memory, *parameters.values()], cotangent)
        state = leaves(pair.state)
        expected = gradients(naive.attention(state, 2, x, given, encodings=encodings), [x, memory, *state.values()], cotangent)
        hint = "Where is the graph cut? The memory itself is a constant; what the weights make of it is not."
        for name, gradient, wanted in zip(("x", "the memory", *state), found, expected, strict=True):
            if name == "the memory":
                require(not gradient.any(), "a gradient flows into the memory.", "Which call takes a tensor out of the graph?")
            else:
                assert_matches(gradient, wanted, what=f"the gradient of {name}", hint=hint)


@pytest.mark.points(0.5)
def test_attention_of_any_size_and_layout(submission: Any, tensors: Tensors) -> None:
    """Sizes may be 1 or equal, and inputs may lie in memory in any order."""
    hint = "Does a step of your code hold only for some sizes, or for one order in memory?"
    for batch, length, before, num_heads, head_dim in (
        (1, 1, 1, 1, 2),
        (2, 2, 2, 2, 2),
        (4, 3, 2, 6, 1),
        (3, 3, 3, 3, 4),
        (1, 2, 17, 2, 3),
        (2, 11, 1, 1, 4),
    ):
        pair = AttentionPair(submission, tensors, num_heads * head_dim, num_heads)
        pair.check(*pair.inputs(batch, length, before), when=" at some sizes", hint=hint)
    pair = AttentionPair(submission, tensors, 6, 3)
    x, memory = pair.inputs(2, 5, 3)
    turned_x, turned_memory = tensors.normal((5, 2, 6), (2, 6, 4))
    pair.check(turned_x.transpose(0, 1), turned_memory.transpose(1, 2), when=" for transposed inputs", hint=hint)
    pair.check(x, memory[:1].expand(2, 3, 6), when=" for a memory expanded over the batch", hint=hint)
    pair.check(x[:, :1].expand(2, 4, 6), memory[:, ::2], when=" for an expanded segment", hint=hint)
    pair.check(x, x, when=" for a segment that is its own memory", hint=hint)
    assert_matches(pair.module(x, memory=memory), pair.attend(x, memory), what="the output with memory=…", hint=hint)
    assert_matches(pair.module(x=x, memory=None), pair.attend(x), what="the output with memory=None", hint=hint)
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_precision(submission: Any, tensors: Tensors) -> None:
    """Large scores are no problem, and every dtype is computed in no less than its own precision."""
    for sign in (1.0, -1.0):
        state = attention_state(tensors, 6, 2)
        constant = tensors.normal((6,)).sign() * 3
        direction = (state["w_k.weight"] @ constant).view(2, 3)
        # Scores of about sign * 1500, whatever the small rest of x is.
        state["u"] = sign * 1500 * 3**0.5 * direction / (direction * direction).sum(dim=-1, keepdim=True)
        pair = AttentionPair(submission, tensors, 6, 2, state=state)
        x, memory = pair.inputs(2, 5, 3)
        hint = "e to the 1500 is infinite, e to the −1500 is 0: what is subtracted before exp, and is what hides a key below every score?"
        pair.check(constant + 0.03 * x, constant + 0.03 * memory, when=" with large scores", hint=hint, strict=True)
    pair, x, memory = _attention_of_unlike_rows(submission, tensors)
    hint = "Each query's scores have a maximum of their own, which may be thousands below that of another query. Which one do you subtract?"
    pair.check(x, memory, when=" with scores of 1500 in some rows and −1500 in others", hint=hint, strict=True)
    hint = "In which dtype are distances and angles computed? bfloat16 cannot tell integers above 256 apart."
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        pair = AttentionPair(submission, tensors, 6, 2, dtype)
        pair.check(*pair.inputs(2, 5, 3), when=f" for {name}", hint=hint, strict=True)
        pair, x, memory = _attention_to_far_keys(submission, tensors, dtype)
        pair.check(x, memory, when=f" for {name} at large distances", hint=hint, strict=True)
    module, (x, memory) = submission.RelativeMultiHeadAttention(6, 2), tensors.normal((2, 4, 6), (2, 3, 6))
    module(x.float())
    module(x.float(), memory.float())
    pair = AttentionPair(submission, tensors, 6, 2)
    pair.module = module.to(torch.float64)
    pair.load(pair.state)
    for given in (None, memory):
        hint = "What is kept from a call in another dtype?"
        pair.check(x, given, when=" of a module converted to float64 after a call", hint=hint, strict=True)


def _attention_of_unlike_rows(submission: Any, tensors: Tensors) -> tuple[AttentionPair, Tensor, Tensor]:
    """The first feature of x says how large the scores of its query are; keys and values do not have it, nor has the position term a part."""
    state = attention_state(tensors, 6, 2)
    constant = tensors.normal((6,)).sign() * 3
    for name in ("w_k", "w_v"):
        state[f"{name}.weight"][:, 0] = 0.0
    state["w_r.weight"] = torch.zeros(6, 6, dtype=torch.float64)
    direction = (state["w_k.weight"] @ constant).view(2, 3)
    state["w_q.weight"][:, 0] = (3**0.5 * direction / (direction * direction).sum(dim=-1, keepdim=True)).flatten()
    x, memory = constant + 0.001 * tensors.normal((2, 5, 6)), constant + 0.001 * tensors.normal((2, 3, 6))
    x[..., 0] = torch.tensor([1500.0, -1500.0, 0.0, -1500.0, 1500.0])
    return AttentionPair(submission, tensors, 6, 2, state=state), x, memory


def _attention_to_far_keys(submission: Any, tensors: Tensors, dtype: torch.dtype) -> tuple[AttentionPair, Tensor, Tensor]:
    """Scores 5 cos(distance), and a memory of 8 at keys whose score would be lower if their distance were rounded to bfloat16, −8 if higher."""
    before = 700
    zeros, identity = torch.zeros(2, 2, dtype=dtype), torch.eye(2, dtype=dtype)
    state = {f"{name}.weight": zeros for name in ("w_q", "w_k")} | {f"{name}.weight": identity for name in ("w_v", "w_r", "w_o")}
    state |= {"u": torch.zeros(1, 2, dtype=dtype), "v": torch.tensor([[0.0, 5 * 2**0.5]], dtype=dtype)}
    distance = torch.arange(before, 0, -1.0)
    lower = distance.cos() - distance.bfloat16().float().cos()
    memory = torch.stack([8 * lower.sign() * (lower.abs() > 0.1), torch.zeros(before)], dim=-1).to(dtype)[None]
    return AttentionPair(submission, tensors, 2, 1, dtype, state=state), tensors.normal((1, 1, 2), dtype=dtype), memory


# The model


@pytest.mark.points(1)
def test_logits_of_one_segment(submission: Any, tensors: Tensors) -> None:
    """Without memories, the model is embedding, layers and the tied head."""
    hint = "By what is the embedding scaled, and is the head the bare embedding? Is anything added that the contract does not name?"
    for batch, length, num_layers, sizes in ((2, 5, 1, (7, 6, 2, 5)), (3, 4, 3, (5, 8, 4, 3))):
        pair = ModelPair(submission, tensors, 4, num_layers, sizes)
        pair.check(pair.tokens(batch, length), only="logits", hint=hint)


@pytest.mark.points(1)
def test_memories_of_a_first_segment(submission: Any, tensors: Tensors) -> None:
    """The memory of a layer is the end of that layer's input, at most mem_len positions, and never padded."""
    hint = "What enters layer l? Of that, which positions are kept, and how many are there when the segment is shorter than mem_len, or mem_len is 0?"
    for batch, length, mem_len, num_layers in ((2, 5, 3, 3), (3, 4, 9, 2), (2, 3, 3, 1), (2, 3, 0, 2), (1, 1, 2, 1)):
        pair = ModelPair(submission, tensors, mem_len, num_layers)
        pair.check(pair.tokens(batch, length), only="memories", hint=hint)


@pytest.mark.points(1)
def test_segments_equal_one_pass(submission: Any, tensors: Tensors) -> None:
    """As long as the memory covers all of the past, segments give the logits of one long pass."""
    hint = "Which layer's memory does each layer get, and does it reach back to the first token? Old memory stays in front of new."
    for lengths, mem_len, num_layers, covered in (
        ([4, 1, 6], 20, 2, 3),
        ([3, 3, 5, 1], 11, 3, 4),
        ([2, 2], 2, 2, 2),
        ([7, 2, 2], 9, 1, 3),
        ([2] * 5, 6, 1, 4),
        ([1, 1, 2], 2, 2, 3),
    ):
        pair = ModelPair(submission, tensors, mem_len, num_layers)
        token_ids = pair.tokens(2, sum(lengths))
        logits, expected_kept = pair.read(token_ids)
        found, kept = pair.segments(token_ids, lengths)
        for number, expected in enumerate(logits.split(lengths, dim=1)[:covered]):
            assert_matches(found[number], expected, what=f"the logits of segment {number}, against one long pass", hint=hint)
        if covered == len(lengths):
            pair.check_memories(kept[-1], expected_kept, when=" after the last segment, against one long pass", hint=hint)
        other = token_ids.clone()
        other[:, 0] = (other[:, 0] + 1) % pair.vocab_size
        apart = (pair.read(other)[0] - logits)[:, -1].detach().abs().amax()
        require(bool(apart > 1e-9), "the last logits of one long pass do not depend on the first token.", "What does the last query see?")


@pytest.mark.points(1)
def test_memory_shorter_than_the_past(submission: Any, tensors: Tensors) -> None:
    """A shorter memory holds the last mem_len positions: what lies further back is forgotten."""
    hint = "After each call exactly the last min(mem_len, M + L) positions of old memory and new input remain: which ones does yours keep?"
    for lengths, mem_len, num_layers in (
        ([3, 3, 5, 1], 4, 2),
        ([2, 2], 1, 2),
        ([3, 3], 0, 2),
        ([7, 2, 2], 5, 1),
        ([2] * 5, 6, 1),
        ([1, 4, 2], 3, 1),
    ):
        pair = ModelPair(submission, tensors, mem_len, num_layers)
        token_ids = pair.tokens(2, sum(lengths))
        whole = pair.read(token_ids)[0].split(lengths, dim=1)
        found, kept = pair.segments(token_ids, lengths)
        for number, segment in enumerate(token_ids.split(lengths, dim=1)):
            memories = kept[number - 1] if number > 0 else None
            pair.check(segment, memories, results=(found[number], kept[number]), when=f" of segment {number}", hint=hint)
        apart = float((found[-1] - whole[-1]).detach().abs().max())
        require(apart > 1e-6, "segments with a short memory give the logits of one long pass.", "Where does the model still see what it forgot?")


@pytest.mark.points(0.5)
def test_given_memories_are_attended_to_whole(submission: Any, tensors: Tensors) -> None:
    """Memories of any length, in a list or a tuple, are attended to from end to end; mem_len only says what is kept."""
    hint = "Is a memory cut to mem_len before it is used? That is for what the call returns."
    for mem_len, before, length in ((2, 6, 3), (7, 3, 2), (0, 4, 2), (3, 1, 1), (4, 9, 3)):
        pair = ModelPair(submission, tensors, mem_len)
        token_ids, memories = pair.tokens(2, length), pair.memories(2, before)
        pair.check(token_ids, memories, when=" with given memories", hint=hint)
    pair.check(token_ids, tuple(memories), when=" with a tuple of memories", hint="A tuple cannot be changed: what does your code do to it?")
    logits, kept = pair.module(token_ids=token_ids, memories=memories)
    assert_matches(logits, pair.read(token_ids, memories)[0], what="the logits with memories=…", hint=hint)
    require(isinstance(kept, list), "the memories are not a list.", "A list of one tensor for each layer was asked for.")
    strided = [memory.transpose(0, 1).contiguous().transpose(0, 1) for memory in memories]
    pair.check(token_ids[:, :1].expand(2, 3), strided, when=" with strided memories", hint=hint)


@pytest.mark.points(1)
def test_gradients_stay_in_the_segment(submission: Any, tensors: Tensors) -> None:
    """Memories carry no gradient; within a segment every weight gets all of its own."""
    pair = ModelPair(submission, tensors, 4)
    token_ids = pair.tokens(2, 8)
    _, kept = pair.segments(token_ids, [3, 3, 2])
    hint = "What has to happen to a layer's input before it may be kept? Otherwise the graph grows with every segment."
    for after_segment in kept:
        require(not any(memory.requires_grad for memory in after_segment), "a memory requires grad.", hint)
    given = [memory.requires_grad_() for memory in pair.memories(2, 2)]
    parameters, segment = pair.learned(), token_ids[:, :3]
    for memories, when in ((given, " with memories that require grad"), (None, " of a first segment")):
        logits, new = pair.read(segment, memories)
        require(not any(memory.requires_grad for memory in new), "a memory requires grad because an older one did.", hint)
        pair.check(segment, memories, results=(logits, new), when=when, hint="Is the result itself off, before any gradient?", strict=True)
        cotangent = tensors.normal(logits.shape)
        found = gradients(logits, [*given, *parameters.values()], cotangent)
        require(not any(gradient.any() for gradient in found[:2]), "a gradient flows into the given memories.", "They are constants.")
        state, constants = leaves(pair.state), None if memories is None else [memory.detach() for memory in memories]
        expected = gradients(naive.model(state, pair.num_heads, 2, 4, segment, constants)[0], list(state.values()), cotangent)
        reached = "The embedding is used twice, and each layer has its own weights: is each use part of the graph?"
        for name, gradient, wanted in zip(state, found[2:], expected, strict=True):
            assert_matches(gradient, wanted, what=f"the gradient of {name}{when}", hint=reached)


@pytest.mark.points(0.5)
def test_parameters(submission: Any, tensors: Tensors) -> None:
    """The model has the weights that the constructor names, u and v zero at first in each layer, and nothing else."""
    sizes = (5, 8, 2, 3)
    module = submission.TransformerXL(*sizes, 3, 4)
    for name, value in module.state_dict().items():
        if name.endswith((".u", ".v")):
            assert_equal(value, torch.zeros(2, 4), what=f"{name} of a new model", hint="The constructors are given: were they changed?")
    pair = ModelPair(submission, tensors, 4, 3, sizes)
    hint = "Only what the given constructors make belongs there, and a call adds nothing."
    wanted = {name: tuple(value.shape) for name, value in model_state(tensors, *sizes, 3).items()}
    for when in ("", " after a call"):
        found = {name: tuple(value.shape) for name, value in pair.module.state_dict().items()}
        require(found == wanted, f"the state dict has other entries{when}.", hint)
        require({name for name, _ in pair.module.named_parameters()} == set(wanted), f"not every weight is a parameter of its own{when}.", hint)
        pair.read(pair.tokens(2, 3), pair.memories(2, 2))


@pytest.mark.points(0.5)
def test_bad_arguments(submission: Any, tensors: Tensors) -> None:
    """Memories of another number or batch, a negative mem_len and heads that do not divide d_model are ValueErrors."""
    pair = ModelPair(submission, tensors, 4, 3)
    for batch, others in ((3, (1, 2, 4)), (1, (3, 2)), (2, (1,))):
        token_ids, good = pair.tokens(batch, 2), pair.memories(batch, 3)
        logits, kept = pair.read(token_ids, good)
        for number, memories in ((0, []), (2, good[:2]), (1, good[:1]), (4, [*good, good[0]])):
            when = f"there are {number} memories for three layers"
            assert_raises_value_error(partial(pair.module, token_ids, memories), when=when)
        assert_raises_value_error(partial(pair.module, token_ids, ()), when="there are 0 memories for three layers")
        for other in others:
            bad = pair.memories(other, 3)
            when = f"the memories have a batch of {other} and token_ids one of {batch}"
            for memories in (bad, [bad[0], *good[1:]], [*good[:2], bad[2]], [good[0], bad[1], good[2]]):
                assert_raises_value_error(partial(pair.module, token_ids, memories), when=when)
        again, kept_again = pair.read(token_ids, good)
        hint = "What does a refused call leave behind?"
        assert_matches(again, logits, what="the logits after bad arguments", hint=hint)
        pair.check_memories(kept_again, kept, when=" after bad arguments", hint=hint)
    for mem_len in (-1, -5):
        assert_raises_value_error(partial(submission.TransformerXL, 7, 6, 2, 5, 2, mem_len), when="mem_len is negative")
    for d_model, num_heads in ((6, 4), (6, 0), (6, -2), (4, 8)):
        when = "num_heads is < 1 or does not divide d_model"
        assert_raises_value_error(partial(submission.RelativeMultiHeadAttention, d_model, num_heads), when=when)
        assert_raises_value_error(partial(submission.TransformerXL, 7, d_model, num_heads, 5, 2, 3), when=when)


@pytest.mark.points(0.5)
def test_calls_do_not_depend_on_each_other(submission: Any, tensors: Tensors) -> None:
    """A call depends on its arguments and the weights of the moment alone, and changes neither."""
    hint = "What does the model keep from one call to the next? The past comes in as an argument, and only so."
    pair, other = ModelPair(submission, tensors, 3), ModelPair(submission, tensors, 5, 1, (7, 4, 1, 3))
    kept: dict[ModelPair, list[Tensor] | None] = {pair: None, other: None}
    for used, length in ((pair, 2), (other, 4), (pair, 3), (other, 1), (pair, 1), (other, 2)):  # two texts, read in turns
        token_ids, memories = used.tokens(2, length), kept[used]
        results = used.read(token_ids, memories)
        used.check(token_ids, memories, results=results, when=" of two models used in turns", hint=hint, strict=True)
        kept[used] = results[1]
    for batch, length, before in ((3, 4, None), (3, 7, None), (1, 2, 5), (2, 3, 2)):
        token_ids, memories = pair.tokens(batch, length), None if before is None else pair.memories(batch, before)
        pair.check(token_ids, memories, when=" of a later call", hint=hint, strict=True)
    logits, last = pair.read(token_ids, memories)
    for training, grad in ((False, True), (False, False), (True, False)):
        pair.module.train(training)
        with torch.set_grad_enabled(grad):
            again, last_again = pair.read(token_ids, memories)
        mode = f" in {'train' if training else 'eval'} mode {'with' if grad else 'without'} gradients"
        assert_matches(again, logits, what=f"the logits{mode}", hint="Which branch of your code is taken only in this mode?")
        pair.check_memories(last_again, last, when=mode, hint="Which branch of your code is taken only in this mode?")
    pair.load(model_state(tensors, 7, 6, 2, 5, 2))
    hint = "Weights that are loaded count from the next call on, in train and in eval mode: what does the model keep that it made of older ones?"
    for training, grad in ((False, False), (True, True)):
        pair.module.train(training)
        with torch.set_grad_enabled(grad):
            pair.check(token_ids, memories, when=" with weights loaded later", hint=hint, strict=True)
    single = ModelPair(submission, tensors, 3, dtype=torch.float32)
    single.check(single.tokens(2, 4), single.memories(2, 2), when=" for float32", hint="Does the result have the dtype of the weights?")
    assert_inputs_unchanged(submission)
