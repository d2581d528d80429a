"""Hidden suite of 09_flash_attention: one tile, many tiles, causal ones, the gradients, then what it all costs.

The backward pass is given the right output and logsumexp, so that a mistake of the forward pass is not counted twice.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.checking.assertions import (
    assert_finite,
    assert_inputs_unchanged,
    assert_matches,
    assert_raises_value_error,
    assert_tensor,
    fail,
    require,
)
from autograder.checking.tolerance import LOGIC, SANITY, SANITY_GRADIENT, Tolerance, smoke
from autograder.hidden_tests import naive_flash_attention as naive
from autograder.hidden_tests.flash_attention_checks import (
    LEAD,
    Call,
    Inputs,
    assert_same,
    backward,
    backward_from,
    check_gradients,
    check_largest_tensor,
    check_logsumexp,
    check_output,
    check_products,
    check_that_backward_fits,
    check_that_differentiating_fits,
    check_that_forward_fits,
    check_that_it_attends,
    check_that_it_differentiates,
    compare_gradients,
    differentiate,
    draw,
    forward,
    note,
    one_tile,
    plain,
)

B, H, L, S, D, Dv = 2, 3, 5, 7, 4, 6
BATCH = (B, 1)
# (L, S, block_q, block_k): tails, blocks of 1, blocks longer than the sequence, unequal ones both ways.
TILINGS = (
    (5, 7, 2, 3),
    (7, 5, 3, 2),
    (11, 13, 4, 7),
    (13, 11, 7, 4),
    (5, 7, 1, 1),
    (3, 5, 64, 1),
    (3, 8, 1, 64),
    (1, 9, 5, 4),
    (9, 1, 4, 5),
    (6, 9, 2, 3),
)
# A float32 score of 2500 is rounded by 1e-4, and with it a weight by that part of itself; mistakes give NaN, zeros or other rows.
FAR_SINGLE = Tolerance("float32, scores far from zero", relative=1e-2)
CAUSAL_TILINGS = (
    *((7, 7, 2, 2), (13, 13, 4, 7), (13, 13, 7, 4), (5, 5, 1, 1), (5, 5, 1, 3), (5, 5, 3, 1), (9, 9, 2, 3), (8, 8, 4, 2), (5, 5, 8, 2), (5, 5, 2, 8)),
    *((5, 11, 2, 3), (6, 13, 4, 7), (6, 13, 7, 4), (1, 7, 2, 2), (7, 8, 3, 1), (4, 6, 1, 2)),
    *((11, 5, 2, 3), (13, 6, 4, 7), (13, 6, 7, 4), (7, 1, 3, 2), (8, 7, 1, 2), (6, 4, 3, 1)),
)
LOGSUMEXP_HINT = "Of which two running values is it made? It is about the scores as they are, not about scores less their maximum."
# Worst error of tiles computed wholly in low precision, for unit inputs.
WORST_LOW_PRECISION = {torch.bfloat16: 4e-2, torch.float16: 6e-3}


# The forward pass


@pytest.mark.points(1)
def test_output_of_one_tile(submission: Any, tensors: Any) -> None:
    """In a single tile the output is ordinary attention"""
    hint = "With one tile there is nothing to rescale yet: which sum divides each row of weights?"
    for lead, *sizes in (((B, H), L, S, D, Dv), (BATCH, S, L, 3, 2), (BATCH, 4, 11, 5, 5), (LEAD, 1, 1, 2, 3)):
        inputs = draw(tensors, lead, *sizes)
        check_output(submission, inputs, one_tile(inputs), hint=hint)


@pytest.mark.points(0.5)
def test_logsumexp(submission: Any, tensors: Any) -> None:
    """The second result is the natural logarithm of each row's sum of exponentials"""
    for lead, *sizes in (((B, H), L, S, D, Dv), (BATCH, 7, 3, 2, 1), (LEAD, 1, 1, 3, 2)):
        inputs = draw(tensors, lead, *sizes)
        check_logsumexp(submission, inputs, one_tile(inputs), hint=LOGSUMEXP_HINT, dtype=torch.float64)


@pytest.mark.points(1)
def test_keys_in_tiles(submission: Any, tensors: Any) -> None:
    """The order of keys, by score rising, falling or mixed, does not matter"""
    hint = "When a later tile holds a larger score, what has to happen to all that was summed before it? And when it holds none?"
    for count, block_k in ((9, 3), (8, 2), (6, 1), (10, 5)):
        query, key, value = draw(tensors, BATCH, 4, count, 3, 2)
        slope = torch.arange(count, dtype=torch.float64).mul(4).sub(2 * count).view(count, 1)
        rising = torch.cat([torch.ones(*BATCH, 4, 1).double(), query], -1), slope.expand(*BATCH, count, 1)
        for name, order in (("rising", rising[1]), ("falling", -rising[1]), ("mixed", rising[1][..., tensors.permutation(count), :])):
            inputs = (rising[0], torch.cat([order, key * 0.5], -1), value)
            what = f"the output for keys with {name} scores"
            check_output(submission, inputs, Call(False, 0.5, 4, block_k), what=what, hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_output_of_one_tile")
def test_any_blocks(submission: Any, tensors: Any) -> None:
    """Any lengths and any block sizes give the same output: tails, blocks of 1, blocks longer than the sequence"""
    hint = "Where does the last tile of each direction begin and end? Does anything assume L = S, or blocks that divide them?"
    for length, count, block_q, block_k in TILINGS:
        inputs = draw(tensors, BATCH, length, count, D, Dv)
        what = f"the output of {length} queries and {count} keys"
        check_output(submission, inputs, plain(inputs[0], block_q, block_k), what=what, hint=hint)


@pytest.mark.points(1)
@pytest.mark.requires("test_output_of_one_tile")
def test_causal_in_one_tile(submission: Any, tensors: Any) -> None:
    """Causal: each query sees itself and what came before; with more keys than queries the last query sees the last key"""
    hint = "Which pairs of a tile on the diagonal are visible? Queries are the last ones of the sequence: how far is query i from the first key?"
    for length, count in ((7, 7), (1, 1), (5, 5), (2, 5), (5, 11), (1, 7), (7, 8)):
        inputs = draw(tensors, BATCH, length, count, D, Dv)
        what = f"the output of {length} queries and {count} keys"
        check_output(submission, inputs, one_tile(inputs, causal=True), what=what, hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_output_of_one_tile")
def test_queries_without_keys(submission: Any, tensors: Any) -> None:
    """Causal with more queries than keys: a query that sees none has output 0 and logsumexp −∞, the others are as ever"""
    hint = "What are the running maximum and the sum of a row that has seen nothing? What is −∞ minus −∞, and 0 divided by 0?"
    for length, count, block_q, block_k in ((5, 3, 5, 3), (11, 5, 11, 5), (7, 1, 7, 1), (8, 7, 8, 7), (10, 5, 2, 5), (12, 5, 4, 5), (11, 5, 11, 1)):
        inputs = draw(tensors, BATCH, length, count, D, Dv)
        call = plain(inputs[0], block_q, block_k, causal=True)
        output, logsumexp = forward(submission, inputs, call)
        expected = naive.attention(inputs, call.causal, call.scale)
        blind = length - count
        what = "the output of a query that sees a key, beside queries that see none"
        assert_matches(output[..., blind:, :], expected.output[..., blind:, :], what=what, hint=hint)
        assert_matches(output[..., :blind, :], expected.output[..., :blind, :], what="the output of a query that sees no key", hint=hint)
        lowest = bool((logsumexp[..., :blind] == -math.inf).all())
        require(lowest, "the logsumexp of a query that sees no key is not −∞.", "What is the logarithm of an empty sum?")


@pytest.mark.points(1)
@pytest.mark.requires("test_any_blocks", "test_causal_in_one_tile")
def test_causal_over_tiles(submission: Any, tensors: Any) -> None:
    """Causal over tiles: equal and unequal blocks, fewer keys than queries, as many, more"""
    hint = "Compare the positions of a query and a key in the sequence, not within their tile, nor the numbers of their tiles."
    for length, count, block_q, block_k in CAUSAL_TILINGS:
        inputs = draw(tensors, BATCH, length, count, D, Dv)
        what = f"the output of {length} queries and {count} keys"
        call = plain(inputs[0], block_q, block_k, causal=True)
        output, _ = forward(submission, inputs, call)
        seeing = slice(max(0, length - count), None)  # the others have a test of their own
        assert_matches(output[..., seeing, :], naive.attention(inputs, True, call.scale).output[..., seeing, :], what=f"{what} {call}", hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_logsumexp", "test_keys_in_tiles", "test_any_blocks")
def test_logsumexp_over_tiles(submission: Any, tensors: Any) -> None:
    """The logsumexp does not depend on the tiles, causal or not"""
    for causal, tilings in ((False, TILINGS), (True, CAUSAL_TILINGS)):
        for length, count, block_q, block_k in tilings:
            inputs = draw(tensors, BATCH, length, count, 3, 1)
            what = f"the logsumexp of {length} queries and {count} keys"
            call = plain(inputs[0], block_q, block_k, causal)
            _, logsumexp = forward(submission, inputs, call)
            expected = naive.attention(inputs, causal, call.scale).logsumexp
            seeing = slice(max(0, length - count) if causal else 0, None)
            assert_matches(logsumexp[..., seeing], expected[..., seeing], what=f"{what} {call}", hint=LOGSUMEXP_HINT)


@pytest.mark.points(1)
def test_scores_far_from_zero(submission: Any, tensors: Any) -> None:
    """Scores in the thousands, of either sign and side by side, overflow nothing and lose nothing"""
    hint = "What is the largest exponent that your code ever takes, row by row? Where does the running maximum start?"
    few, many = torch.tensor([-1.0, 1.0, 1.0, -1.0, 1.0]), torch.tensor([1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0])
    # In this order each known mistake fails first in a case of its own.
    cases = (
        ("all scores are near 2500", torch.ones(5), torch.full((7,), 2500.0), False),
        ("all scores are near −2500", torch.ones(5), torch.full((7,), -2500.0), False),
        ("rows of one tile lie 4000 apart", 2000 * few, torch.ones(7), False),
        ("the scores of a row are near 2000 and −2000", torch.ones(5), 2000 * many, False),
        ("the scores of a row are near 2000 and −2000", torch.ones(5), -2000 * many, False),
        ("hidden scores are near 2000 and visible ones near −2000", torch.ones(7), -2000 * many, True),
        ("all scores are near −2500", torch.ones(7), torch.full((7,), -2500.0), True),
        ("rows of one tile lie 4000 apart", 2000 * torch.tensor([1.0, -1.0, -1.0, 1.0, -1.0, 1.0, -1.0]), torch.ones(7), True),
    )
    for dtype, tolerance in ((torch.float64, LOGIC), (torch.float32, FAR_SINGLE)):
        for when, rows, columns, causal in cases:
            inputs = _with_offsets(tensors, rows, columns, dtype)
            for block_q, block_k in ((len(rows), 1), (len(rows), len(columns))):
                call = plain(inputs[0], block_q, block_k, causal)
                output, logsumexp = forward(submission, inputs, call)
                expected = naive.attention(inputs, call.causal, call.scale)
                assert_matches(output, expected.output, what=f"the output when {when}", hint=hint, tolerance=tolerance)
                assert_matches(logsumexp, expected.logsumexp, what=f"the logsumexp when {when}", hint=hint, tolerance=tolerance)


def _with_offsets(tensors: Any, rows: Tensor, columns: Tensor, dtype: torch.dtype) -> Inputs:
    """Inputs whose scaled scores are ordinary ones plus rows[i] * columns[j]."""
    query, key, value = draw(tensors, BATCH, len(rows), len(columns), 3, 2)
    query = torch.cat([query, rows.double().view(-1, 1).expand(*BATCH, -1, 1)], -1)
    key = torch.cat([key, columns.double().view(-1, 1).expand(*BATCH, -1, 1) * 2], -1)  # the scale is 1 / sqrt(4)
    return query.to(dtype), key.to(dtype), value.to(dtype)


@pytest.mark.points(0.5)
def test_leading_dimensions_and_layouts(submission: Any, tensors: Any) -> None:
    """Any number of leading dimensions, and any order in memory, give what one batch in plain order gives"""
    check_that_it_attends(submission, tensors)
    hint = "Which of your steps counts dimensions from the left, or assumes an order in memory?"
    cases = [(f"{len(lead)} leading dimensions", draw(tensors, lead, 4, 5, 3, 2)) for lead in ((), (3,), (2, 3), (2, 1, 2, 3))]
    for name, inputs in [*cases, *_layouts(tensors)]:
        for call in (plain(inputs[0], 1, inputs[1].size(-2), causal=True), plain(inputs[0], inputs[0].size(-2), 1, causal=True)):
            results = forward(submission, inputs, call)
            expected = forward(submission, [x.reshape(-1, *x.shape[-2:]).clone() for x in inputs], call)
            for result, other, what in zip(results, expected, ("output", "logsumexp"), strict=True):
                assert_same(result, other.reshape(result.shape), what=f"the {what} for {name}", hint=hint)


def _layouts(tensors: Any) -> list[tuple[str, Inputs]]:
    heads_last = [x.transpose(1, 2) for x in tensors.normal((B, L, H, D), (B, S, H, D), (B, S, H, Dv))]
    features_first = [x.transpose(-1, -2) for x in tensors.normal((B, H, D, L), (B, H, D, S), (B, H, Dv, S))]
    expanded = [
        tensors.normal((1, 1, L, D)).expand(B, H, L, D),
        tensors.normal((B, 1, S, D)).expand(B, H, S, D),
        tensors.normal((B, H, 1, Dv)).expand(B, H, S, Dv),
    ]
    return [
        ("transposed heads", (heads_last[0], heads_last[1], heads_last[2])),
        ("transposed features", (features_first[0], features_first[1], features_first[2])),
        ("expanded inputs", (expanded[0], expanded[1], expanded[2])),
    ]


# The backward pass


@pytest.mark.points(0.5)
def test_gradient_of_value(submission: Any, tensors: Any) -> None:
    """In a single tile the backward pass gives the gradient of the values"""
    hint = "The output is P V. Which product of the weights and grad_output has the shape of the values?"
    for inputs, grad_output, call in _one_tile(tensors):
        gradients = backward(submission, grad_output, inputs, call)
        expected = naive.gradients(grad_output, inputs, call.causal, call.scale)
        assert_matches(gradients.value, expected.value, what="the gradient of value", hint=hint)


@pytest.mark.points(1)
def test_gradients_of_query_and_key(submission: Any, tensors: Any) -> None:
    """In a single tile the backward pass gives the gradients of queries and keys"""
    hint = "Write P and dS down for a single query: what do the products sum over, what does softmax's derivative subtract, where is the scale?"
    for inputs, grad_output, call in _one_tile(tensors):
        gradients = backward(submission, grad_output, inputs, call)
        expected = naive.gradients(grad_output, inputs, call.causal, call.scale)
        assert_matches(gradients.query, expected.query, what="the gradient of query", hint=hint)
        assert_matches(gradients.key, expected.key, what="the gradient of key", hint=hint)


def _one_tile(tensors: Any) -> Iterator[tuple[Inputs, Tensor, Call]]:
    for lead, *sizes in (((B, H), L, S, D, Dv), (BATCH, S, L, 3, 2), (LEAD, 1, 3, 2, 3)):
        inputs = draw(tensors, lead, *sizes)
        yield inputs, tensors.normal((*lead, sizes[0], sizes[3])), one_tile(inputs)


@pytest.mark.points(1)
@pytest.mark.requires("test_gradient_of_value")
def test_gradients_over_tiles(submission: Any, tensors: Any) -> None:
    """Any lengths, block sizes and scores give the gradients of one tile"""
    hint = "Which tiles add to the gradient of one query, and which to that of one key? By what is a tile of weights normalised?"
    for length, count, block_q, block_k in TILINGS:
        inputs = draw(tensors, BATCH, length, count, D, Dv)
        grad_output = tensors.normal((*BATCH, length, Dv))
        call = plain(inputs[0], block_q, block_k)
        expected = backward(submission, grad_output, inputs, plain(inputs[0], 64, 64))
        compare_gradients(backward(submission, grad_output, inputs, call), expected, f"for {length} queries and {count} keys {call}", hint=hint)
    signs = torch.tensor([-1.0, 1.0, 1.0, -1.0, 1.0])
    for rows, columns in ((torch.ones(5), torch.full((7,), -2500.0)), (2000 * signs, torch.ones(7)), (torch.ones(3), 2000 * signs)):
        inputs = _with_offsets(tensors, rows, columns, torch.float64)
        grad_output = tensors.normal((*BATCH, len(rows), 2))
        hint = "Is what exp is taken of ever above 0?"
        _check_ordinary_gradients(submission, grad_output, inputs, plain(inputs[0], 2, 3), when="for scores far from zero ", hint=hint)


def _check_ordinary_gradients(submission: Any, grad_output: Tensor, inputs: Inputs, call: Call, *, when: str, hint: str) -> None:
    """Gradients of all but the feature that carries an offset: that one is a difference of numbers in the thousands, and rounds like them."""
    gradients = backward(submission, grad_output, inputs, call)
    expected = naive.gradients(grad_output, inputs, call.causal, call.scale)
    assert_finite(gradients.query, what=f"the gradient of query {when}{call}", hint=hint)
    assert_finite(gradients.key, what=f"the gradient of key {when}{call}", hint=hint)
    ordinary = [naive.Gradients(of.query[..., :-1], of.key[..., :-1], of.value) for of in (gradients, expected)]
    compare_gradients(ordinary[0], ordinary[1], f"{when}{call}", hint=hint)


@pytest.mark.points(1)
@pytest.mark.requires("test_gradient_of_value", "test_gradients_of_query_and_key")
def test_causal_gradients(submission: Any, tensors: Any) -> None:
    """Causal gradients: fewer keys, as many, or more; a query that sees none has gradient 0 and gives none"""
    hint = "Is a tile of weights made again with the same mask? What is exp(score − logsumexp) where logsumexp is −∞?"
    for length, count, block_q, block_k in (
        (6, 6, 8, 8),
        (9, 9, 2, 3),
        (13, 13, 4, 7),
        (13, 13, 7, 4),
        (5, 11, 2, 3),
        (6, 13, 7, 4),
        (5, 3, 8, 8),
        (11, 5, 3, 2),
        (13, 6, 4, 7),
        (7, 1, 1, 1),
    ):
        inputs = draw(tensors, BATCH, length, count, D, Dv)
        when = f"for {length} queries and {count} keys "
        call = plain(inputs[0], block_q, block_k, causal=True)
        gradients = check_gradients(submission, tensors.normal((*BATCH, length, Dv)), inputs, call, of=when, hint=hint)
        blind = gradients.query[..., : max(0, length - count), :]
        require(bool((blind == 0).all()), "the gradient of a query that sees no key is not exactly 0.", hint)
    inputs = _with_offsets(tensors, torch.ones(5), 1000 * torch.tensor([-1.0, -1.0, 1.0, -1.0, 1.0]), torch.float64)
    when = "where hidden scores lie far above visible ones "
    hint = "What becomes of exp(score − logsumexp) of a hidden pair, and of 0 times that?"
    for block in (2, 8):
        call = plain(inputs[0], block, block, causal=True)
        _check_ordinary_gradients(submission, tensors.normal((*BATCH, 5, 2)), inputs, call, when=when, hint=hint)


@pytest.mark.points(0.5)
def test_gradient_layouts(submission: Any, tensors: Any) -> None:
    """grad_output and the inputs of the backward pass may lie in memory in any order, with any leading dimensions"""
    check_that_it_differentiates(submission, tensors)
    hint = "Which of your steps assumes an order in memory? What does .view ask for?"
    lead = (B, H)
    inputs = draw(tensors, lead, L, S, D, Dv)
    cotangents = (
        ("a grad_output with its features transposed", tensors.normal((*lead, Dv, L)).transpose(-1, -2)),
        ("a grad_output with its heads transposed", tensors.normal((B, L, H, Dv)).transpose(1, 2)),
        ("an expanded grad_output", tensors.normal((1, 1, 1, Dv)).expand(*lead, L, Dv)),
        ("every other row of a grad_output", tensors.normal((*lead, 2 * L, Dv))[..., ::2, :]),
    )
    cases = [(name, inputs, grad_output) for name, grad_output in cotangents]
    cases += [(name, others, tensors.normal((*lead, L, Dv))) for name, others in _layouts(tensors)]
    for other_lead in ((), (2, 1, 2, 3)):
        others = draw(tensors, other_lead, 4, 5, 3, 2)
        cases.append((f"{len(other_lead)} leading dimensions", others, tensors.normal((*other_lead, 4, 2))))
    for name, given, grad_output in cases:
        for call in (plain(given[0], 1, given[1].size(-2)), plain(given[0], given[0].size(-2), 1)):
            flat = [x.reshape(-1, *x.shape[-2:]).clone() for x in (grad_output, *given)]
            expected = backward(submission, flat[0], flat[1:], call)
            shaped = naive.Gradients(*(gradient.reshape(x.shape) for gradient, x in zip(expected, given, strict=True)))
            compare_gradients(backward(submission, grad_output, given, call), shaped, f"for {name}", hint=hint)
    leaves = [x.clone().requires_grad_() for x in inputs]
    call = one_tile(inputs)
    for name, grad_output in cotangents:
        _, gradients = differentiate(submission, grad_output, leaves, call)
        _, expected = differentiate(submission, grad_output.clone(memory_format=torch.contiguous_format), leaves, call)
        compare_gradients(gradients, expected, f"through flash_attention for {name}", hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_output_of_one_tile")
def test_scale(submission: Any, tensors: Any) -> None:
    """The scale is the caller's, 0.0 and negative numbers too; None is 1 / √D"""
    hint = "Which scale does the caller ask for, and does it reach every place that uses one? None is the only value that means the default."
    for width, value_width in ((3, 5), (7, 2)):
        inputs = draw(tensors, BATCH, 5, 7, width, value_width)
        grad_output = tensors.normal((*BATCH, 5, value_width))
        for scale in (None, 1.3, -0.7, 0.0):
            default, factor = 1 / math.sqrt(width), 1.0 if scale is None else scale * math.sqrt(width)
            scaled = (inputs[0] * factor, *inputs[1:])
            name = "the default scale" if scale is None else "a scale of 0" if scale == 0 else "a negative scale" if scale < 0 else "a scale"
            check_output(submission, inputs, Call(False, scale, 5, 7), what=f"the output for {name}", hint=hint)
            for causal in (False, True):
                call, plainly = Call(causal, scale, 5, 1), Call(causal, default, 5, 1)
                for result, other, what in zip(
                    forward(submission, inputs, call), forward(submission, scaled, plainly), ("output", "logsumexp"), strict=True
                ):
                    assert_matches(result, other, what=f"the {what} for {name}", hint=hint)
                of_scaled = backward(submission, grad_output, scaled, plainly)
                expected = naive.Gradients(of_scaled.query * factor, of_scaled.key, of_scaled.value)
                compare_gradients(backward(submission, grad_output, inputs, call), expected, f"for {name}", hint=hint)


# The two as one


@pytest.mark.points(0.5)
def test_flash_attention_is_differentiable(submission: Any, tensors: Any) -> None:
    """flash_attention gives the output of the forward pass and, when differentiated, the gradients of the backward pass"""
    check_that_it_differentiates(submission, tensors)
    check_that_it_attends(submission, tensors)
    hint = "Which arguments does backward get, and in which order do its results belong to those of forward?"
    # Where all sizes are equal, gradients in another order fit as well.
    for length, count, width, causal in ((6, 6, 4, False), (4, 9, Dv, False), (4, 9, Dv, True), (8, 6, Dv, True)):
        inputs = draw(tensors, BATCH, length, count, D, width)
        grad_output = tensors.normal((*BATCH, length, width))
        for wanted in ((True, True, True), (False, True, False), (True, False, True)):
            leaves = [x.clone().requires_grad_(needed) for x, needed in zip(inputs, wanted, strict=True)]
            call = Call(causal, -0.6 if wanted[1] else None, 2, 3)
            results = forward(submission, inputs, call)
            output, gradients = differentiate(submission, grad_output, leaves, call)
            expected = backward_from(submission, grad_output, inputs, results, call)
            kept = naive.Gradients(*(g if needed else torch.zeros_like(g) for g, needed in zip(expected, wanted, strict=True)))
            assert_same(output, results[0], what=f"the result of flash_attention {call}", hint="Are all settings handed on?")
            for gradient, other, name in zip(gradients, kept, ("query", "key", "value"), strict=True):
                assert_same(gradient, other, what=f"the gradient of {name} through flash_attention {call}", hint=hint)
    inputs = draw(tensors, BATCH, 67, 71, 3, 2)
    hint = "What are the defaults of the arguments?"
    expected_output, _ = forward(submission, inputs, Call(False, None, 64, 64))
    assert_same(submission.flash_attention(*inputs), expected_output, what="flash_attention without settings", hint=hint)
    expected_output, _ = forward(submission, inputs, Call(True, None, 64, 64))
    assert_same(submission.flash_attention(*inputs, causal=True), expected_output, what="flash_attention with default blocks", hint=hint)
    expected_output, _ = forward(submission, inputs, Call(False, 0.3, 20, 50))
    named = submission.flash_attention(query=inputs[0], key=inputs[1], value=inputs[2], causal=False, scale=0.3, block_q=20, block_k=50)
    assert_same(named, expected_output, what="flash_attention with named arguments", hint=hint)
    expected_output, _ = forward(submission, inputs, Call(False, 0.3, 64, 64))
    with torch.no_grad():
        results = submission.flash_attention_forward(*inputs, scale=0.3)
    assert_same(results[0], expected_output, what="the output with default blocks", hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_flash_attention_is_differentiable")
def test_finite_differences(submission: Any, tensors: Any) -> None:
    """The gradients of flash_attention are those of its own result"""
    hint = "torch.autograd.gradcheck compares with finite differences; try it on a tiny float64 example, first without causal."
    for length, count, causal in ((4, 6, False), (4, 6, True)):
        leaves = [x.requires_grad_() for x in draw(tensors, LEAD, length, count, 2, 3)]
        call = plain(leaves[0], 2, 2, causal)
        passed = torch.autograd.gradcheck(
            partial(_attend, submission, call),
            leaves,
            fast_mode=True,
            check_undefined_grad=False,
            raise_exception=False,
        )
        require(passed, "the gradients of flash_attention are not those that finite differences of its result give.", hint)


def _attend(submission: Any, call: Call, *inputs: Tensor) -> Tensor:
    result: Tensor = submission.flash_attention(*inputs, *call.arguments)
    return result


@pytest.mark.points(0.5)
def test_calls_do_not_depend_on_each_other(submission: Any, tensors: Any) -> None:
    """Two calls that are differentiated later, in either order, do not mix; with and without gradients the result is one"""
    check_that_it_differentiates(submission, tensors)
    check_that_it_attends(submission, tensors)
    hint = "Where does the forward pass leave what its backward pass needs? Does a second call write to the same place?"
    calls = (Call(True, 0.4, 2, 3), Call(False, -0.9, 4, 2), Call(True, None, 1, 2))
    many = [[x.requires_grad_() for x in draw(tensors, BATCH, *sizes)] for sizes in ((5, 7, 3, 2), (6, 4, 5, 3), (7, 5, 2, 4))]
    outputs = [submission.flash_attention(*inputs, *call.arguments) for inputs, call in zip(many, calls, strict=True)]
    for output, inputs in zip(outputs, many, strict=True):
        assert_tensor(output, (*inputs[0].shape[:-1], inputs[2].size(-1)), what="the result of flash_attention")
        require(output.requires_grad, "no gradient flows through the result of flash_attention.")
    for which in (1, 0, 2):
        inputs, call = many[which], calls[which]
        detached = [x.detach() for x in inputs]
        results = forward(submission, detached, call)
        grad_output = tensors.normal(tuple(outputs[which].shape))
        expected = backward_from(submission, grad_output, detached, results, call)
        gradients = naive.Gradients(*torch.autograd.grad(outputs[which], inputs, grad_output))
        compare_gradients(gradients, expected, "after other calls", hint=hint)
        assert_same(outputs[which], results[0], what="the result of flash_attention, computed again", hint=hint)
        with torch.no_grad():
            assert_same(submission.flash_attention(*inputs, *call.arguments), results[0], what="the result under no_grad", hint=hint)


@pytest.mark.points(0.5)
def test_dtypes(submission: Any, tensors: Any) -> None:
    """Results have the dtype of the inputs; logsumexp is float32, or float64 for float64"""
    check_that_it_differentiates(submission, tensors)
    check_that_it_attends(submission, tensors)
    hint = "In which dtype are the running values kept, and in which is each result returned?"
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        inputs = draw(tensors, (B, H), 5, 7, D, Dv, dtype=dtype)
        grad_output = tensors.normal((B, H, 5, Dv), dtype=dtype)
        low = dtype in WORST_LOW_PRECISION
        for block_q, block_k, causal in ((5, 7, False), (1, 1, True)):
            call = plain(inputs[0], block_q, block_k, causal)
            precise = [x.double() for x in inputs]
            results = forward(submission, precise, call)
            output, logsumexp = forward(submission, inputs, call)
            tolerance = smoke(WORST_LOW_PRECISION[dtype]) if low else SANITY
            assert_same(output, results[0], what=f"the output for {dtype}", tolerance=tolerance, dtype=dtype, hint=hint)
            what = f"the logsumexp for {dtype}"
            assert_same(logsumexp, results[1], what=what, tolerance=tolerance, dtype=torch.float32, hint=hint)
            tolerance = smoke(2 * WORST_LOW_PRECISION[dtype]) if low else SANITY_GRADIENT
            gradients = backward(submission, grad_output, inputs, call)
            expected = backward(submission, grad_output.double(), precise, call)
            compare_gradients(gradients, expected, f"for {dtype}", tolerance=tolerance, dtype=dtype, hint=hint)
            leaves = [x.clone().requires_grad_() for x in inputs]
            output, gradients = differentiate(submission, grad_output, leaves, call)
            assert_tensor(output, dtype=dtype, what="the result of flash_attention")
            for gradient in gradients:
                assert_tensor(gradient, dtype=dtype, what="a gradient through flash_attention")


@pytest.mark.points(0.5)
def test_inputs_unchanged(submission: Any, tensors: Any) -> None:
    """Nothing that the caller hands over is changed: inputs, grad_output, output, logsumexp"""
    check_that_it_differentiates(submission, tensors)
    check_that_it_attends(submission, tensors)
    for dtype in (torch.float64, torch.float32):
        for length, count, block_q, block_k, causal in ((5, 7, 5, 7, False), (7, 5, 7, 5, True), (8, 6, 2, 3, True)):
            inputs = draw(tensors, (B, H), length, count, D, Dv, dtype=dtype)
            grad_output = tensors.normal((B, H, length, Dv), dtype=dtype)
            for scale in (None, 0.3):
                call = Call(causal, scale, block_q, block_k)
                forward(submission, inputs, call)
                backward(submission, grad_output, inputs, call)
                submission.flash_attention(*inputs, *call.arguments)
            leaves = [inputs[0].clone().requires_grad_(), *inputs[1:]]
            differentiate(submission, grad_output, leaves, call)
    note(float(zlib.crc32(" ".join(sorted(set(submission.changed_inputs))).encode())))
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_bad_arguments(submission: Any, tensors: Any) -> None:
    """Shapes that do not fit are refused, nothing is stretched to fit; so is a block below 1"""
    query, key, value = draw(tensors, (B, H), L, S, D, Dv)
    wrong = (
        ("query and key have different numbers of features", query, key[..., :-1], value),
        ("key has one feature and query has more", query, key[..., :1], value),
        ("key and value have different lengths", query, key, value[..., :-1, :]),
        ("there is one value and more keys", query, key, value[..., :1, :]),
        ("there is one key and more values", query, key[..., :1, :], value),
        ("key and value have a batch of 1 and query has more", query, key[:1], value[:1]),
        ("value has a batch of 1", query, key, value[:1]),
        ("query has a batch of 1 and key and value have more", query[:1], key, value),
        ("key and value have one head", query, key[:, :1], value[:, :1]),
        ("query has fewer leading dimensions", query[0], key, value),
        ("key and value have no leading dimensions", query, key[0, 0], value[0, 0]),
        ("key alone has a batch of 1", query, key[:1], value),
        ("value has a larger batch", query[:1], key[:1], value),
        ("query has one feature and key has more", query[..., :1], key, value),
        ("query has no dimension of queries", query[0, 0, 0], key[0, 0], value[0, 0]),
        ("key has no dimension of keys", query[0, 0], key[0, 0, 0], value[0, 0]),
        ("value has no dimension of keys", query[0, 0], key[0, 0], value[0, 0, 0]),
    )
    for function in (submission.flash_attention_forward, submission.flash_attention):
        for when, *inputs in wrong:
            assert_raises_value_error(partial(function, *inputs, False, None, 2, 3), when=when)
        for block_q, block_k, name in (
            (0, 3, "block_q is 0"),
            (2, 0, "block_k is 0"),
            (-2, 3, "block_q is negative"),
            (2, -3, "block_k is negative"),
        ):
            call = partial(_without_range, partial(function, query, key, value, False, None, block_q, block_k))
            assert_raises_value_error(call, when=name)
    output, logsumexp = naive.attention((query, key, value))
    refused = partial(submission.flash_attention_backward, tensors.normal((B, H, L, Dv)))
    with torch.no_grad():
        for when, *inputs in (wrong[0], wrong[2], wrong[5]):
            assert_raises_value_error(partial(refused, *inputs, output, logsumexp, False, None, 2, 3), when=f"{when}, in the backward pass")
        for blocks, name in (((0, 3), "block_q is 0"), ((2, 0), "block_k is 0"), ((-1, 3), "block_q is negative"), ((2, -3), "block_k is negative")):
            call = partial(_without_range, partial(refused, query, key, value, output, logsumexp, False, None, *blocks))
            assert_raises_value_error(call, when=f"{name} in the backward pass")


def _without_range(call: Callable[[], Any]) -> Any:
    """range refuses steps of 0 by itself, with a ValueError that says nothing about blocks."""
    try:
        return call()
    except ValueError as error:
        said = getattr(error, "text", str(error))  # in another process the text is kept apart: it is the student's own
        if "range()" in said:
            fail("a block of 0 reaches range(), whose message names no argument.", "Check the blocks first, and name the one that is wrong.")
        raise


# What it costs

# (L, S, D, block, causal): where a strip of L or S times a block is far larger than the inputs; in the last two so is a tile of 64 × 64 or 16 × 16.
PROBES = (
    *((64, 512, 4, 32, False), (512, 64, 4, 32, False), (512, 64, 4, 32, True), (64, 512, 4, 32, True)),
    *((128, 32, 1, 8, False), (40, 24, 1, 4, False)),
)


@pytest.mark.points(1.5)
def test_forward_memory(submission: Any, tensors: Any) -> None:
    """The forward pass makes no tensor much larger than its inputs or a tile"""
    check_that_it_attends(submission, tensors)
    for length, count, width, block, causal in PROBES:
        inputs = draw(tensors, LEAD, length, count, width, width)
        call = plain(inputs[0], block, block, causal)
        with submission.measuring() as cost:
            forward(submission, inputs, call)
        check_largest_tensor(cost, inputs, call, of="the forward pass")
    check_that_forward_fits(submission, tensors)


@pytest.mark.points(1)
def test_backward_memory(submission: Any, tensors: Any) -> None:
    """The backward pass makes no tensor much larger than its inputs or a tile"""
    check_that_it_differentiates(submission, tensors)
    for length, count, width, block, causal in PROBES:
        inputs = draw(tensors, LEAD, length, count, width, width)
        call = plain(inputs[0], block, block, causal)
        results = forward(submission, inputs, call)
        grad_output = tensors.normal((*LEAD, length, width))
        with submission.measuring() as cost:
            backward_from(submission, grad_output, inputs, results, call)
        check_largest_tensor(cost, inputs, call, of="the backward pass")
    check_that_backward_fits(submission, tensors)


@pytest.mark.points(1)
@pytest.mark.requires("test_flash_attention_is_differentiable")
def test_memory_between_the_passes(submission: Any, tensors: Any) -> None:
    """Differentiating flash_attention keeps and makes nothing that grows with L · S"""
    inputs = [x.requires_grad_() for x in draw(tensors, LEAD, 512, 512, 4, 4)]
    call = plain(inputs[0], 128, 32)
    with submission.measuring() as kept:
        submission.flash_attention(*inputs, *call.arguments)
    most = 8 * 512 * (4 + 1)
    reason = f"flash_attention keeps {kept.saved_numbers:,} numbers for its backward pass; the inputs and results are {most // 2:,} at most."
    note(float(kept.saved_numbers > most))
    hint = "What does autograd save when it looks on while tiles are made? What does the backward pass need that it cannot make again?"
    require(kept.saved_numbers <= most, reason, hint)
    inputs = [x.requires_grad_() for x in draw(tensors, BATCH, 256, 128, 4, 4)]
    call = plain(inputs[0], 32, 16, causal=True)
    grad_output = tensors.normal((*BATCH, 256, 4))
    with submission.measuring() as cost:
        differentiate(submission, grad_output, inputs, call)
    check_largest_tensor(cost, inputs, call, of="flash_attention, differentiated,")
    check_that_differentiating_fits(submission, tensors)


@pytest.mark.points(0.5)
def test_forward_work(submission: Any, tensors: Any) -> None:
    """The forward pass multiplies twice for each tile that has a visible pair, and never for others"""
    check_that_it_attends(submission, tensors)
    for length, count, block_q, block_k in ((96, 240, 48, 16), (240, 96, 16, 48), (512, 512, 64, 64)):
        inputs = draw(tensors, LEAD, length, count, 8, 8)
        flops = {}
        for causal in (True, False):
            call = plain(inputs[0], block_q, block_k, causal)
            with submission.measuring() as cost:
                forward(submission, inputs, call)
            # A column of ones beside the values may sum the weights.
            check_products(cost, length, count, 8, call, most=2 + 1 / 8, of="the forward pass")
            flops[causal] = cost.flops
    hint = "How many tiles of keys does the first block of queries need?"
    require(flops[True] <= 0.6 * flops[False], "a causal forward pass costs more than 0.6 of a full one for 512 positions.", hint)


@pytest.mark.points(0.5)
def test_backward_work(submission: Any, tensors: Any) -> None:
    """The backward pass multiplies five times for each tile that has a visible pair, and never for others"""
    check_that_it_differentiates(submission, tensors)
    for length, count, block_q, block_k in ((96, 240, 48, 16), (240, 96, 16, 48), (512, 512, 64, 64)):
        inputs = draw(tensors, LEAD, length, count, 8, 8)
        grad_output = tensors.normal((*LEAD, length, 8))
        flops = {}
        for causal in (True, False):
            call = plain(inputs[0], block_q, block_k, causal)
            results = forward(submission, inputs, call)
            with submission.measuring() as cost:
                backward_from(submission, grad_output, inputs, results, call)
            # rowsum(dO * O) may be a product too.
            check_products(cost, length, count, 8, call, most=5 + 1 / 8, of="the backward pass")
            flops[causal] = cost.flops
    hint = "How many tiles of keys does the first block of queries need?"
    # In the second one, tiles of 20 × 12 would have more hidden pairs among them.
    for length, count, block_q, block_k in ((96, 240, 48, 16), (36, 20, 12, 20)):
        inputs = draw(tensors, LEAD, length, count, 8, 8)
        call = plain(inputs[0], block_q, block_k, causal=True)
        leaves = [x.clone().requires_grad_() for x in inputs]
        with submission.measuring() as cost:
            differentiate(submission, tensors.normal((*LEAD, length, 8)), leaves, call)
        check_products(cost, length, count, 8, call, most=7 + 1 / 4, of="flash_attention, differentiated,")
    require(flops[True] <= 0.6 * flops[False], "a causal backward pass costs more than 0.6 of a full one for 512 positions.", hint)


LONG = 16_384


@pytest.mark.costly
@pytest.mark.points(0.5)
@pytest.mark.requires(
    "test_keys_in_tiles",
    "test_any_blocks",
    "test_causal_over_tiles",
    "test_gradients_over_tiles",
    "test_causal_gradients",
    "test_finite_differences",
    "test_forward_memory",
    "test_backward_memory",
    "test_memory_between_the_passes",
)
def test_long_sequence(submission: Any, tensors: Any) -> None:
    """16,384 tokens fit into 512 MiB, forward and backward"""
    inputs = draw(tensors, LEAD, LONG, LONG, 4, 4, dtype=torch.float32)  # with 4 features the default scale is the one given below
    rows = torch.tensor([0, 257, tensors.integer(300, LONG - 1), LONG - 1])
    # Only these rows have a gradient, so that what all keys and values get can be told from a few rows.
    grad_output = torch.zeros(*LEAD, LONG, 4)
    grad_output[0, 0, rows] = tensors.normal((len(rows), 4), dtype=torch.float32)
    hint = "Which of your values live from one tile to the next, and how many numbers are they together?"
    with submission.limits(call_seconds=30, memory_bytes=512 * 2**20):
        leaves = [x.clone().requires_grad_() for x in inputs]
        output, gradients = differentiate(submission, grad_output, leaves, Call(True, 0.5, 256, 256))
    expected_output, expected = _of_rows(rows, grad_output[0, 0], [x[0, 0] for x in inputs])
    assert_matches(output[0, 0, rows], expected_output, what="the output of some queries of a long sequence", tolerance=SANITY, hint=hint)
    gradients = naive.Gradients(*(gradient[0, 0] for gradient in gradients))
    compare_gradients(gradients, expected, "for a long sequence", tolerance=SANITY_GRADIENT, hint=hint)


def _of_rows(rows: Tensor, grad_output: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor, naive.Gradients]:
    """Output of these rows and all gradients, when only these rows have a cotangent: causal, scale 0.5."""
    query, key, value = (x.double() for x in inputs)
    cotangent = grad_output[rows].double()
    scores = (query[rows] @ key.T * 0.5).masked_fill(torch.arange(len(key)) > rows.unsqueeze(1), -math.inf)
    weights = scores.softmax(-1)
    grad_weights = cotangent @ value.T
    grad_scores = weights * (grad_weights - (weights * grad_weights).sum(-1, keepdim=True)) * 0.5
    grad_query = torch.zeros_like(query)
    grad_query[rows] = grad_scores @ key
    return weights @ value, naive.Gradients(grad_query, grad_scores.T @ query[rows], weights.T @ cotangent)
