"""Hidden suite of 01_attention: masks, then scaled dot-product attention.

Where it can, a test takes the submission's own simpler answer as its yardstick (a masked row is the unmasked one
renormalised), so that one mistake fails the test that is about it and not every test after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from autograder.checking import tolerance
from autograder.checking.assertions import (
    assert_finite,
    assert_inputs_unchanged,
    assert_matches,
    assert_raises_value_error,
    assert_tensor,
    require,
)
from autograder.hidden_tests import naive
from autograder.hidden_tests.attention_checks import at_shape, attend, check_masked, draw_inputs, gradients_of

B, H, L, S, D, Dv = 2, 3, 5, 7, 4, 6
BFLOAT16 = tolerance.smoke(0.03)  # the worst of the alternative solutions on unit-normal inputs


@pytest.mark.points(1)
def test_padding_is_marked(submission: Any, tensors: Any) -> None:
    """padding_mask marks the padding with True, wherever it stands"""
    hint = "Is True where the id is the padding's, and nowhere else? Padding need not stand at the end, nor be 0."
    for shape, pad_id in (((3, 7), 2), ((5, 11), 0), ((2, 2), -1), ((1, 1), 1), ((4, 1), 0)):
        token_ids = tensors.integers(shape, low=-1, high=4)
        expected = torch.tensor([[token == pad_id for token in row] for row in token_ids.tolist()])
        assert_matches(submission.padding_mask(token_ids, pad_id), expected, what="the padding mask", hint=hint)
    all_padding = torch.full((2, 3), 9)
    assert_matches(submission.padding_mask(token_ids=all_padding, pad_id=9), torch.ones(2, 3, dtype=torch.bool), what="the padding mask", hint=hint)
    assert_matches(submission.padding_mask(all_padding, 5), torch.zeros(2, 3, dtype=torch.bool), what="the padding mask", hint=hint)


@pytest.mark.points(0.5)
def test_padding_mask_takes_integers_only(submission: Any, tensors: Any) -> None:
    """padding_mask takes 2-D ids of any integer dtype and memory layout, and refuses anything else"""
    token_ids = tensors.integers((5, 3), high=4)
    for dtype in (torch.int32, torch.int16, torch.int8, torch.uint8):
        actual = submission.padding_mask(token_ids.to(dtype), 1)
        assert_matches(actual, token_ids == 1, what=f"the padding mask of {str(dtype).removeprefix('torch.')} ids")
    for strided in (token_ids.T, token_ids[:1].expand(4, 3), token_ids[::2, 1:]):
        assert_matches(submission.padding_mask(strided, 1), strided == 1, what="the padding mask of ids that are not contiguous")
    for dims, shape in enumerate(((), (4,), None, (2, 3, 4), (2, 1, 3, 1))):
        if shape is not None:
            wrong = torch.ones(shape, dtype=torch.int64)
            assert_raises_value_error(partial(submission.padding_mask, wrong, 1), when=f"token_ids is {dims}-D")
    for dtype in (torch.float32, torch.float64):
        assert_raises_value_error(partial(submission.padding_mask, token_ids.to(dtype), 1), when="token_ids holds floating point numbers")


@pytest.mark.points(1)
def test_causal_mask_hides_the_future(submission: Any) -> None:
    """causal_mask hides the keys after each query, and only those"""
    hint = "A query sees itself and what came before it. Which diagonal is the first to be hidden?"
    for length in (5, 1, 2, 13, 61):
        assert_matches(submission.causal_mask(length), naive.causal_mask(length, length), what="the causal mask", hint=hint)
    assert_matches(submission.causal_mask(4, None), naive.causal_mask(4, 4), what="the causal mask with key_length None", hint=hint)
    assert_matches(submission.causal_mask(query_length=3), naive.causal_mask(3, 3), what="the causal mask", hint=hint)


@pytest.mark.points(1)
def test_causal_mask_of_unequal_lengths(submission: Any) -> None:
    """causal_mask aligns bottom-right: the queries are the last positions of the keys"""
    for query_length, key_length in ((2, 5), (3, 5), (1, 6), (5, 5), (7, 11), (59, 67)):
        assert_matches(
            submission.causal_mask(query_length, key_length),
            naive.causal_mask(query_length, key_length),
            what="the causal mask of fewer queries than keys",
            hint="The last query stands at the last key and sees them all. Where does the first query stand?",
        )
    for query_length, key_length in ((5, 2), (5, 3), (4, 1), (11, 7)):
        assert_matches(
            submission.causal_mask(query_length, key_length=key_length),
            naive.causal_mask(query_length, key_length),
            what="the causal mask of more queries than keys",
            hint="The first queries come before every key: what can they see?",
        )
    assert_matches(submission.causal_mask(query_length=2, key_length=3), naive.causal_mask(2, 3), what="the causal mask")


@pytest.mark.points(0.5)
def test_causal_mask_refuses_lengths_below_one(submission: Any) -> None:
    """causal_mask refuses a length below 1"""
    for query_length in (0, -1, -7):
        assert_raises_value_error(partial(submission.causal_mask, query_length), when="query_length is below 1")
        assert_raises_value_error(partial(submission.causal_mask, query_length, 3), when="query_length is below 1")
    for key_length in (0, -1, -7):
        assert_raises_value_error(partial(submission.causal_mask, 3, key_length), when="key_length is below 1 (0 is not None)")
    assert_raises_value_error(partial(submission.causal_mask, -2, -2), when="both lengths are below 1")


@pytest.mark.points(1)
def test_combined_mask_hides_what_either_hides(submission: Any, tensors: Any) -> None:
    """combine_masks hides what either mask hides, for each sequence of the batch"""
    hint = "Draw scores of shape (B, H, L, S): along which of the four does each mask vary? A key is hidden when one reason is enough."
    for batch, heads, queries, keys in ((2, 3, 5, 7), (3, 2, 1, 4), (4, 2, 5, 1), (3, 3, 3, 3), (1, 2, 3, 5)):
        padding, causal = tensors.mask((batch, keys), (queries, keys), keep_one=False)
        combined = submission.combine_masks(padding, causal)
        expected = padding[:, None, None, :] | causal
        assert_matches(
            at_shape(combined, (batch, heads, queries, keys)), expected.expand(batch, heads, queries, keys), what="the combined mask", hint=hint
        )
    padding, causal = tensors.mask((5, 2), (3, 5), keep_one=False)
    combined = submission.combine_masks(padding=padding.T, causal=causal[:1].expand(3, 5))
    expected = (padding.T[:, None, None, :] | causal[:1]).expand(2, 4, 3, 5)
    assert_matches(at_shape(combined, (2, 4, 3, 5)), expected, what="the combined mask of masks that are not contiguous", hint=hint)


@pytest.mark.points(0.5)
def test_one_mask_or_none(submission: Any, tensors: Any) -> None:
    """combine_masks takes one mask alone, or none"""
    padding, causal = tensors.mask((B, S), (L, S))
    hint = "In which dimension of (B, H, L, S) does this mask's first dimension belong?"
    for actual in (submission.combine_masks(padding), submission.combine_masks(padding=padding, causal=None)):
        expected = padding[:, None, None, :].expand(B, H, L, S)
        assert_matches(at_shape(actual, (B, H, L, S)), expected, what="the combined mask of padding alone", hint=hint)
    for actual in (submission.combine_masks(None, causal), submission.combine_masks(causal=causal)):
        assert_matches(at_shape(actual, (B, H, L, S)), causal.expand(B, H, L, S), what="the combined mask of the causal mask alone", hint=hint)
    visible = torch.zeros(B, S, dtype=torch.bool)
    assert_matches(at_shape(submission.combine_masks(visible), (B, H, L, S)), torch.zeros(B, H, L, S, dtype=torch.bool), what="the combined mask")
    for nothing in (submission.combine_masks(), submission.combine_masks(None, None)):
        require(
            nothing is None, "combine_masks returns something when it is given no mask.", "What does attention take to mean that nothing is hidden?"
        )


@pytest.mark.points(0.5)
def test_combine_masks_refuses_other_masks(submission: Any, tensors: Any) -> None:
    """combine_masks refuses masks that are not bool, not 2-D, or of different key lengths"""
    padding, causal = tensors.mask((B, S), (L, S))
    for dtype in (torch.uint8, torch.int64, torch.float32):
        for arguments in ((padding.to(dtype), causal), (padding.to(dtype), None)):
            assert_raises_value_error(partial(submission.combine_masks, *arguments), when="the padding mask is not bool")
        for arguments in ((padding, causal.to(dtype)), (None, causal.to(dtype))):
            assert_raises_value_error(partial(submission.combine_masks, *arguments), when="the causal mask is not bool")
    for wrong in (padding[0], padding[:, None], padding[:, None, None]):
        for other in (causal, None):
            assert_raises_value_error(partial(submission.combine_masks, wrong, other), when=f"the padding mask is {wrong.dim()}-D")
    for wrong in (causal[0], causal[None], causal[None, None]):
        for other in (padding, None):
            assert_raises_value_error(partial(submission.combine_masks, other, wrong), when=f"the causal mask is {wrong.dim()}-D")
    for arguments in ((padding[:, :-1], causal), (padding, causal[:, :3]), (padding[:, :1], causal), (padding, causal[:, :1])):
        when = "the two masks have different numbers of keys (1 key too: it must not be stretched)"
        assert_raises_value_error(partial(submission.combine_masks, *arguments), when=when)


@pytest.mark.points(1)
def test_weights_are_a_distribution_over_keys(submission: Any, tensors: Any) -> None:
    """Attention returns (output, weights), and each query's weights are a distribution over the keys"""
    for lead in ((B, H), ()):
        query, key, value = draw_inputs(tensors, (*lead, L, D), S, Dv)
        _, weights = attend(submission, query, key, value)
        require(bool((weights >= 0).all()), "some weights are negative.", "What turns scores into weights, and what is its range?")
        sums = torch.ones(*lead, L, dtype=torch.float64)
        assert_matches(weights.sum(-1), sums, what="the sum of each query's weights", hint="Over which dimension does a query choose between keys?")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_weights_are_a_distribution_over_keys")
def test_output_is_the_average_of_the_values(submission: Any, tensors: Any) -> None:
    """Each output is the average of the values under the weights that are returned"""
    query, key, value = draw_inputs(tensors, (B, H, L, D), S, Dv)
    output, weights = attend(submission, query, key, value)
    expected = torch.stack([(weights[..., i, :, None] * value).sum(-2) for i in range(L)], dim=-2)
    assert_matches(output, expected, what="the output", hint="Is it made of the same weights that you return, and of nothing but the values?")


@pytest.mark.points(2)
def test_weights_are_the_softmax_of_scaled_scores(submission: Any, tensors: Any) -> None:
    """The weights are the softmax of the scaled products of queries and keys"""
    for lead, queries, keys, width, value_width in (((B, H), L, S, D, Dv), ((H,), 3, 2, 11, 5), ((), 4, 6, 1, 2)):
        query, key, value = draw_inputs(tensors, (*lead, queries, width), keys, value_width)
        expected_output, expected_weights = naive.attention(query, key, value)
        output, weights = attend(submission, query=query, key=key, value=value)
        hint = "By what do you divide the scores, and does it follow from these inputs or from some other size?"
        assert_matches(weights, expected_weights, what="the weights", hint=hint)
        assert_matches(output, expected_output, what="the output")


@pytest.mark.points(1)
@pytest.mark.requires("test_weights_are_a_distribution_over_keys")
def test_any_leading_dimensions_and_layout(submission: Any, tensors: Any) -> None:
    """Leading dimensions and memory layout do not matter: none, one, two or more, contiguous or not"""
    query, key, value = inputs = draw_inputs(tensors, (B, H, L, D), S, Dv)
    output, weights = attend(submission, *inputs)
    hint = "Count dimensions from the right: -1 and -2 mean the same whatever comes before."
    for lead in ((B * H,), (H, B), (1, B, H), (B, 1, H, 1), (1, B * H)):
        got_output, got_weights = attend(submission, *(x.reshape(*lead, *x.shape[-2:]) for x in inputs))
        what = f"with {len(lead)} leading dimensions"
        assert_matches(got_weights, weights.reshape(*lead, L, S), what=f"the weights {what}", hint=hint)
        assert_matches(got_output, output.reshape(*lead, L, Dv), what=f"the output {what}", hint=hint)
    got_output, got_weights = attend(submission, query[1, 2], key[1, 2], value[1, 2])
    assert_matches(got_weights, weights[1, 2], what="the weights without leading dimensions", hint=hint)
    assert_matches(got_output, output[1, 2], what="the output without leading dimensions", hint=hint)
    hint = "Which of your operations need a contiguous tensor?"
    for strided in ([x.transpose(1, 2).contiguous().transpose(1, 2) for x in inputs], [x.mT.contiguous().mT for x in inputs]):
        got_output, got_weights = attend(submission, *strided)
        assert_matches(got_weights, weights, what="the weights of inputs that are not contiguous", hint=hint)
        assert_matches(got_output, output, what="the output of inputs that are not contiguous", hint=hint)
    shared = [key[:1, :1].expand(B, H, S, D), value[:1, :1].expand(B, H, S, Dv)]
    got_output, got_weights = attend(submission, query, *shared)
    output, weights = attend(submission, query, *(x.contiguous() for x in shared))
    assert_matches(got_weights, weights, what="the weights of expanded keys", hint=hint)
    assert_matches(got_output, output, what="the output of expanded values", hint=hint)


@pytest.mark.points(0.5)
def test_any_lengths(submission: Any, tensors: Any) -> None:
    """Any number of queries and keys, one too; each query stands for itself"""
    query, key, value = draw_inputs(tensors, (B, H, 11, D), S, Dv)
    output, weights = attend(submission, query, key, value)
    for first, last in ((0, 1), (3, 6), (2, 9)):
        got_output, got_weights = attend(submission, query[..., first:last, :], key, value)
        assert_matches(
            got_weights, weights[..., first:last, :], what="the weights of some of the queries", hint="Does one query's row depend on the others?"
        )
        assert_matches(got_output, output[..., first:last, :], what="the output of some of the queries")
    for queries in (5, 1):
        got_output, got_weights = attend(submission, query[..., :queries, :], key[..., :1, :], value[..., :1, :])
        assert_matches(
            got_weights, torch.ones(B, H, queries, 1, dtype=torch.float64), what="the weights of a single key", hint="It is the only choice."
        )
        assert_matches(got_output, value[..., :1, :].expand(B, H, queries, Dv), what="the output with a single key")
    got_output, _ = attend(submission, query, key, value[..., :1])
    assert_matches(got_output, output[..., :1], what="the output with values of one feature")
    # Copies of all keys share their weight; copies of the queries get the same.
    few_output, few_weights = output[0, 1], weights[0, 1]
    many_output, many_weights = attend(submission, query[0, 1].repeat(13, 1), key[0, 1].repeat(19, 1), value[0, 1].repeat(19, 1))
    assert_matches(many_weights, few_weights.repeat(13, 19) / 19, what="the weights of a long sequence")
    assert_matches(many_output, few_output.repeat(13, 1), what="the output of a long sequence")
    order = tensors.permutation(S)
    got_output, got_weights = attend(submission, query, key[..., order, :], value[..., order, :])
    assert_matches(got_weights, weights[..., order], what="the weights of keys in another order")
    assert_matches(got_output, output, what="the output with keys and values in another order", hint="A set of keys has no order of its own.")


@pytest.mark.points(1.5)
@pytest.mark.requires("test_weights_are_a_distribution_over_keys")
def test_mask_hides_keys(submission: Any, tensors: Any) -> None:
    """A hidden key (mask True) has a weight of exactly 0, and the others share 1 between them"""
    for lead, queries, keys in (((), 6, 9), ((B, H), L, S), ((2,), 1, 5)):
        query, key, value = draw_inputs(tensors, (*lead, queries, D), keys, Dv)
        _, unmasked = attend(submission, query, key, value)
        one_visible = torch.ones(queries, keys, dtype=torch.bool)
        one_visible[:, tensors.integer(0, keys)] = False
        nothing = torch.zeros(queries, keys, dtype=torch.bool)
        for mask in (tensors.mask((queries, keys)), naive.causal_mask(queries, keys), one_visible, nothing):
            output, weights = attend(submission, query, key, value, mask)
            check_masked(output, weights, unmasked, value, mask)


@pytest.mark.points(1)
@pytest.mark.requires("test_weights_are_a_distribution_over_keys")
def test_mask_broadcasts(submission: Any, tensors: Any) -> None:
    """A mask broadcasts to the scores from the right; a 2-D one is always (queries, keys), whatever the sizes"""
    hint = "Line the mask's dimensions up with those of the scores, starting from the last. No size tells what a dimension means."
    for batch, heads, queries, keys in ((B, H, L, S), (5, 2, 5, 7), (3, 3, 2, 4), (3, 3, 3, 3)):
        query, key, value = draw_inputs(tensors, (batch, heads, queries, D), keys, Dv)
        shapes: list[tuple[int, ...]] = [(batch, 1, 1, keys), (1, heads, queries, keys), (heads, queries, keys), (queries, keys), (keys,)]
        if batch == B:
            shapes += [(batch, 1, queries, keys), (batch, heads, queries, keys), (batch, heads, 1, keys), (1, 1, queries, keys), (heads, 1, keys)]
        _, unmasked = attend(submission, query, key, value)
        for shape in shapes:
            mask = tensors.mask(shape)
            output, weights = attend(submission, query, key, value, mask=mask)
            check_masked(output, weights, unmasked, value, mask, what=f"with a {len(shape)}-D mask", hint=hint)
        for mask in (tensors.mask((batch, 1, 1, keys)).expand(batch, heads, queries, keys), tensors.mask((queries, keys)).T.contiguous().T):
            output, weights = attend(submission, query, key, value, mask=mask)
            check_masked(output, weights, unmasked, value, mask, what="with a mask that is not contiguous", hint=hint)
    for lead, mask_shape in (
        ((B,), (B, 1, S)),
        ((B,), (B, L, S)),
        ((B, 1, H), (B, 1, 1, 1, S)),
        ((B, 1, H), (H, L, S)),
        ((B, 2, H), (B, 2, H, L, S)),
    ):
        query, key, value = draw_inputs(tensors, (*lead, L, D), S, Dv)
        _, unmasked = attend(submission, query, key, value)
        mask = tensors.mask(mask_shape)
        output, weights = attend(submission, query, key, value, mask=mask)
        check_masked(output, weights, unmasked, value, mask, what=f"with {len(lead)} leading dimensions and a {mask.dim()}-D mask", hint=hint)


@pytest.mark.points(1)
def test_query_without_keys_takes_nothing(submission: Any, tensors: Any) -> None:
    """A query that sees no key has zero weights and a zero output"""
    hint = "A softmax over nothing is 0/0, and one over equal fills is an average of what is hidden. What should be left?"
    some_rows = tensors.mask((L, S))
    some_rows[1] = some_rows[L - 1] = True
    one_sequence = tensors.mask((B, 1, 1, S))
    one_sequence[1] = True
    one_head = tensors.mask((1, H, L, S))
    one_head[0, 1, 2] = True
    some_queries = torch.zeros(B, 1, L, 1, dtype=torch.bool)
    some_queries[0, 0, 3] = some_queries[1, 0, 0] = True
    everything = torch.ones(B, H, L, S, dtype=torch.bool)
    for dtype in (torch.float64, torch.float32):
        query, key, value = draw_inputs(tensors, (B, H, L, D), S, Dv, dtype=dtype)
        _, unmasked = attend(submission, query, key, value)
        for mask in (everything, everything[0, 0], some_rows, one_sequence, one_head, some_queries):
            output, weights = attend(submission, query, key, value, mask)
            empty = mask.expand(B, H, L, S).all(-1)
            for result, what in ((weights, "the weights of a query that sees no key"), (output, "the output of a query that sees no key")):
                assert_finite(result, what=what, hint=hint)
                require(bool((result[empty] == 0).all()), f"{what} is not zero.", hint)
            check_masked(output, weights, unmasked, value, mask, what="of the other queries")
    query, key, value = draw_inputs(tensors, (3, D), 1, Dv)
    output, weights = attend(submission, query, key, value, torch.tensor([[True], [False], [True]]))
    assert_matches(
        weights, torch.tensor([[0.0], [1.0], [0.0]], dtype=torch.float64), what="the weights of a single key that some queries do not see", hint=hint
    )
    assert_matches(output, weights.detach() * value, what="the output with a single key that some queries do not see", hint=hint)


@pytest.mark.points(1)
@pytest.mark.requires("test_weights_are_the_softmax_of_scaled_scores", "test_mask_hides_keys")
def test_gradients_of_both_results(submission: Any, tensors: Any) -> None:
    """Gradients reach query, key and value from the output, and query and key from the weights"""
    for lead, mask in (((B, H), None), ((2,), tensors.mask((L, S))), ((), naive.causal_mask(L, S))):
        query, key, value = inputs = draw_inputs(tensors, (*lead, L, D), S, Dv, requires_grad=True)
        grad_output, grad_weights = tensors.normal((*lead, L, Dv), (*lead, L, S))
        output, weights = attend(submission, *inputs, mask=mask)
        for cotangents, origin in (
            ((grad_output, None), "the output"),
            ((None, grad_weights), "the weights"),
            ((grad_output, grad_weights), "both results"),
        ):
            expected = naive.attention_gradients(query, key, value, mask, grad_output=cotangents[0], grad_weights=cotangents[1])
            actual = gradients_of((output, weights), cotangents, inputs)
            for name, got, wanted in zip(("query", "key", "value"), actual, expected, strict=True):
                assert_matches(
                    got, wanted, what=f"the gradient of {name} through {origin}", hint="Is any step detached, or done on numbers instead of tensors?"
                )
    x, grad_output = tensors.normal((3, D), (3, D))
    x.requires_grad_()
    expected_self = torch.stack(naive.attention_gradients(x, x, x, grad_output=grad_output)).sum(0)
    (actual_self,) = gradients_of(attend(submission, x, x, x), (grad_output, None), [x])
    assert_matches(actual_self, expected_self, what="the gradient of self-attention, one tensor as query, key and value")


@pytest.mark.points(1)
def test_gradients_with_queries_without_keys(submission: Any, tensors: Any) -> None:
    """A query that sees no key has a zero gradient and leaves all other gradients as they are"""
    hint = "A NaN that is replaced after the softmax still multiplies into gradients. Where does it arise?"
    empty, rest = [0, 3], [1, 2, 4]
    mask = tensors.mask((L, S))
    mask[empty] = True
    for dtype, bound in ((torch.float64, tolerance.LOGIC), (torch.float32, tolerance.SANITY_GRADIENT)):
        inputs = draw_inputs(tensors, (H, L, D), S, Dv, dtype=dtype, requires_grad=True)
        cotangents = tensors.normal((H, L, Dv), (H, L, S), dtype=dtype)
        gradients = gradients_of(attend(submission, *inputs, mask=mask), cotangents, inputs)
        zeros = torch.zeros(H, len(empty), D, dtype=dtype)
        assert_matches(gradients[0][:, empty], zeros, what="the gradient of a query that sees no key", tolerance=tolerance.EXACT, hint=hint)
        shorter = [inputs[0].detach()[:, rest].requires_grad_(), *inputs[1:]]
        expected = gradients_of(attend(submission, *shorter, mask=mask[rest]), [cotangent[:, rest] for cotangent in cotangents], shorter)
        for name, got, wanted in zip(("the other queries", "key", "value"), (gradients[0][:, rest], *gradients[1:]), expected, strict=True):
            assert_matches(got, wanted, what=f"the gradient of {name} when one query sees no key", tolerance=bound, hint=hint)
        nothing = attend(submission, *inputs, mask=torch.ones(L, S, dtype=torch.bool))
        if any(result.requires_grad for result in nothing):
            for name, gradient in zip(("query", "key", "value"), gradients_of(nothing, cotangents, inputs, all_connected=False), strict=True):
                require(bool((gradient == 0).all()), f"the gradient of {name} is not zero when every key is hidden from every query.", hint)


@pytest.mark.points(1)
def test_large_scores(submission: Any, tensors: Any) -> None:
    """Scores in the thousands neither overflow nor underflow, whatever those of the other queries and of hidden keys"""
    hint = "A softmax does not change when a row of scores is shifted as a whole. Which shift keeps exp in range in every row?"
    shifts = torch.tensor([0.0, 1900.0, -1900.0, 1.0, 900.0], dtype=torch.float64)
    query, key, value = draw_inputs(tensors, (B, H, L, D), S, Dv)
    query[..., -1], key[..., -1] = 0.0, 1.0
    for mask in (None, tensors.mask((L, S))):
        output, weights = attend(submission, query, key, value, mask)
        shifted = query.clone()
        shifted[..., -1] = shifts * math.sqrt(D)
        got_output, got_weights = attend(submission, shifted, key, value, mask)
        assert_matches(got_weights, weights, what="the weights after a shift of each query's scores", hint=hint)
        assert_matches(got_output, output, what="the output after a shift of each query's scores", hint=hint)
    hidden = tensors.mask((S,))
    hidden[0] = True
    key[..., -1] = torch.where(hidden, 1.0, -1.0)
    _, low_weights = attend(submission, query, key, value, hidden.expand(L, S))
    query[..., -1] = 1900.0 * math.sqrt(D)
    _, got_weights = attend(submission, query, key, value, hidden.expand(L, S))
    assert_matches(
        got_weights,
        low_weights,
        what="the weights beside hidden keys with far higher scores",
        hint="Is a hidden key out of the race before the largest score is taken, and its score low enough?",
    )
    _check_clear_winners(submission, tensors, hint)


def _check_clear_winners(submission: Any, tensors: Any, hint: str) -> None:
    """In float32, with scores that are exact, far apart, and sorted both ways."""
    steps = torch.arange(1, 8, dtype=torch.float32) * 100
    for key_feature in (steps, steps.flip(0), -steps, -steps.flip(0), steps[tensors.permutation(7)]):
        query, key = torch.zeros(3, 16), torch.zeros(7, 16)
        key[:, 2] = key_feature
        query[:, 2] = torch.tensor([8.0, -8.0, 4.0])
        value = tensors.normal((7, Dv), dtype=torch.float32)
        query, value = query.requires_grad_(), value.requires_grad_()
        output, weights = attend(submission, query, key, value)
        winners = (query.detach() @ key.T).argmax(-1)
        assert_matches(
            weights, torch.nn.functional.one_hot(winners, 7).float(), what="the weights in float32 when one score is far above the others", hint=hint
        )
        assert_matches(output, value[winners], what="the output in float32 when one score is far above the others", hint=hint)
        for gradient in gradients_of((output, weights), tensors.normal((3, Dv), (3, 7), dtype=torch.float32), [query, value]):
            assert_finite(gradient, what="a gradient in float32 when one score is far above the others", hint=hint)


@pytest.mark.points(0.5)
def test_results_have_the_dtype_of_the_input(submission: Any, tensors: Any) -> None:
    """float32 and bfloat16 stay what they are, and float32 is as exact as float32 can be"""
    hint = "Which of your tensors has a dtype of its own?"
    for used in (None, tensors.mask((L, S))):
        inputs = draw_inputs(tensors, (B, H, L, D), S, Dv, dtype=torch.float32)
        exact_inputs = [x.double().requires_grad_() for x in inputs]
        output, weights = attend(submission, *(x.requires_grad_() for x in inputs), mask=used)
        exact_output, exact_weights = attend(submission, *exact_inputs, mask=used)
        for result, exact, what in ((output, exact_output, "the output"), (weights, exact_weights, "the weights")):
            assert_tensor(exact, dtype=torch.float64, what=f"{what} of float64 inputs")
            assert_matches(result, exact, dtype=torch.float32, what=f"{what} of float32 inputs", tolerance=tolerance.SANITY, hint=hint)
        cotangents = tensors.normal((B, H, L, Dv), (B, H, L, S), dtype=torch.float32)
        gradients = gradients_of((output, weights), cotangents, inputs)
        exact_gradients = gradients_of((exact_output, exact_weights), [x.double() for x in cotangents], exact_inputs)
        for gradient, exact in zip(gradients, exact_gradients, strict=True):
            assert_matches(gradient, exact, what="a gradient of float32 inputs", tolerance=tolerance.SANITY_GRADIENT, hint=hint)
        coarse = [x.detach().bfloat16() for x in inputs]
        results, exact_results = attend(submission, *coarse, mask=used), attend(submission, *(x.double() for x in coarse), mask=used)
        for result, exact in zip(results, exact_results, strict=True):
            assert_matches(result, exact, dtype=torch.bfloat16, what="a result of bfloat16 inputs", tolerance=BFLOAT16, hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_weights_are_a_distribution_over_keys")
def test_inputs_are_not_changed(submission: Any, tensors: Any) -> None:
    """No function changes the tensors that it is given"""
    padding, causal = tensors.mask((B, S), (L, S))
    submission.padding_mask(tensors.integers((B, S), high=3), 1)
    for masks in ((padding, causal), (padding, None), (None, causal)):
        submission.combine_masks(*masks)
    causal[1] = True
    for dtype in (torch.float64, torch.float32):
        for lead in ((), (B, H)):
            inputs = draw_inputs(tensors, (*lead, L, D), S, Dv, dtype=dtype)
            for mask in (None, causal, causal.clone().expand(*lead, L, S).contiguous()):
                attend(submission, *inputs, mask=mask)
            attend(submission, inputs[1], inputs[1], inputs[1])
        attend(submission, *inputs, mask=padding[:, None, None])
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
def test_inputs_that_do_not_fit_are_refused(submission: Any, tensors: Any) -> None:
    """Queries, keys and values that do not fit together are refused; nothing is stretched to fit"""
    query, key, value = draw_inputs(tensors, (B, H, L, D), S, Dv)
    wrong = [
        ("query and key have different numbers of features", query, key[..., :-1], value),
        ("key has one feature and query has more", query, key[..., :1], value),
        ("query has one feature and key has more", query[..., :1], key, value),
        ("key and value have different lengths", query, key, value[..., :-1, :]),
        ("there is one value and more keys", query, key, value[..., :1, :]),
        ("there is one key and more values", query, key[..., :1, :], value),
        ("the batch of key is smaller", query, key[:1], value[:1]),
        ("the batch of value is smaller", query, key, value[:1]),
        ("the batch of value is larger", query[:1], key[:1], value),
        ("the batch of key alone is smaller", query, key[:1], value),
        ("the batch of query is smaller", query[:1], key, value),
        ("key has fewer heads", query, key[:, :1], value[:, :1]),
        ("key has more heads", query[:, :2], key, value),
        ("query has fewer leading dimensions than key and value", query[0], key, value),
        ("key and value have no leading dimensions and query has", query, key[0, 0], value[0, 0]),
        ("value has an extra leading dimension", query[0], key[0], value[:1]),
        ("query has no dimension of queries", query[0, 0, 0], key[0, 0], value[0, 0]),
        ("key and value have no dimension of keys", query[0, 0], key[0, 0, 0], value[0, 0, 0]),
        ("key has no dimension of keys", query[0, 0], key[0, 0, 0], value[0, 0]),
        ("value has no dimension of keys", query[0, 0], key[0, 0], value[0, 0, 0]),
    ]
    for when, *inputs in wrong:
        assert_raises_value_error(partial(submission.scaled_dot_product_attention, *inputs), when=when)


@pytest.mark.points(0.5)
def test_masks_that_do_not_fit_are_refused(submission: Any, tensors: Any) -> None:
    """A mask that is not bool, or that does not broadcast to the scores, is refused"""
    query, key, value = draw_inputs(tensors, (B, H, L, D), S, Dv)
    for shape in ((L, S), (B, 1, 1, S), (B, H, L, S)):
        visible = tensors.mask(shape)
        for other in (visible.float(), visible.double(), visible.long(), visible.to(torch.uint8), visible.double().masked_fill(visible, -1e9)):
            assert_raises_value_error(partial(submission.scaled_dot_product_attention, query, key, value, other), when="the mask is not bool")
    two_dimensional = (query[0, 0], key[0, 0], value[0, 0])
    wrong: list[tuple[str, Sequence[Tensor], tuple[int, ...]]] = [
        ("the mask has another number of keys", (query, key, value), (L, S - 1)),
        ("the mask is (keys, queries)", (query, key, value), (S, L)),
        ("a 2-D mask is (batch, keys): it is always (queries, keys)", (query, key, value), (B, S)),
        ("a 3-D mask is (batch, queries, keys) beside scores of (batch, heads, queries, keys)", (query, key, value), (B, L, S)),
        ("the mask has another number of heads", (query, key, value), (B, H + 1, L, S)),
        ("the mask has a larger batch than the scores", (query[:1], key[:1], value[:1]), (B, 1, L, S)),
        ("the mask has more queries than the scores", (query[..., :1, :], key, value), (L, S)),
        ("the mask has more keys than the scores", (query, key[..., :1, :], value[..., :1, :]), (L, S)),
        ("the mask has more dimensions than the scores", two_dimensional, (B, L, S)),
    ]
    for when, inputs, mask_shape in wrong:
        mask = tensors.mask(mask_shape)
        assert_raises_value_error(partial(submission.scaled_dot_product_attention, *inputs, mask=mask), when=when)


@pytest.mark.points(0.5)
@pytest.mark.requires(
    "test_causal_mask_of_unequal_lengths", "test_combined_mask_hides_what_either_hides", "test_weights_are_the_softmax_of_scaled_scores"
)
def test_every_call_stands_alone(submission: Any, tensors: Any) -> None:
    """A call depends on its arguments alone: not on earlier calls, nor on whether gradients are recorded"""
    hint = "Does anything outlive a call: a global, a cache, a default argument?"
    for query_length, key_length in ((5, 5), (2, 5), (5, 5), (3, 5), (3, 4), (3, 3)):
        expected = naive.causal_mask(query_length, key_length)
        assert_matches(submission.causal_mask(query_length, key_length), expected, what="the causal mask after other calls", hint=hint)
    for padding, causal in [tensors.mask((B, S), (L, S)) for _ in range(3)]:
        combined = at_shape(submission.combine_masks(padding, causal), (B, H, L, S))
        assert_matches(combined, (padding[:, None, None] | causal).expand(B, H, L, S), what="the combined mask after other calls", hint=hint)
    inputs, mask = draw_inputs(tensors, (B, L, D), S, Dv), tensors.mask((B, L, S))
    together, together_masked = attend(submission, *inputs), attend(submission, *inputs, mask=mask)
    for first in (0, 1):  # the same sizes, other numbers
        alone = attend(submission, *(x[first] for x in inputs))
        alone_masked = attend(submission, *(x[first] for x in inputs), mask=mask[first])
        for got, expected in zip((*alone, *alone_masked), (*together, *together_masked), strict=True):
            assert_matches(got, expected[first], what="the result for one sequence of a batch, in a call of its own", hint=hint)
    attend(submission, *draw_inputs(tensors, (1, 3, 9), 2, 1, dtype=torch.float32), mask=tensors.mask((3, 2)))
    with torch.no_grad():
        again, again_masked = attend(submission, *inputs), attend(submission, *inputs, mask=mask)
    recorded = attend(submission, *(x.clone().requires_grad_() for x in inputs), mask=mask)
    for got, expected in zip((*again, *again_masked, *recorded), (*together, *together_masked, *together_masked), strict=True):
        assert_matches(got, expected, what="the result of a second call with the same arguments", hint=hint)
