"""Public tests of 01_attention: small numbers that you can check by hand. The hidden tests ask for the whole contract."""

import math

import torch

from autograder.checking.assertions import assert_matches, assert_raises_value_error, assert_tensor, fail, require


def attend(submission, *inputs):
    """Both results of the attention, once they are known to be two."""
    results = submission.scaled_dot_product_attention(*inputs)
    if not (isinstance(results, tuple | list) and len(results) == 2):
        fail("scaled_dot_product_attention does not return two results.", "Which two does the contract name, and in which order?")
    return results


def test_padding_mask(submission):
    """padding_mask marks the padding"""
    token_ids = torch.tensor([[5, 2, 0, 0], [7, 0, 4, 1]])
    expected = torch.tensor([[False, False, True, True], [False, True, False, False]])
    mask = submission.padding_mask(token_ids, 0)
    assert_matches(mask, expected, what="the padding mask", hint="Which ids are the padding's, and what does True mean in a mask here?")


def test_causal_mask(submission):
    """causal_mask hides the future, counted from the last query and the last key"""
    expected = torch.tensor([[False, True, True], [False, False, True], [False, False, False]])
    assert_matches(submission.causal_mask(3), expected, what="the causal mask", hint="Which keys come after the first query? And after the last?")
    expected = torch.tensor([[False, False, False, True], [False, False, False, False]])
    hint = "The last query stands at the last key. How many keys does the query before it see?"
    assert_matches(submission.causal_mask(2, 4), expected, what="the causal mask of 2 queries and 4 keys", hint=hint)


def test_combine_masks(submission):
    """combine_masks hides what either mask hides"""
    padding = torch.tensor([[False, False], [True, False]])
    causal = torch.tensor([[False, True], [False, False]])
    combined = assert_tensor(submission.combine_masks(padding, causal), what="the combined mask")
    expected = torch.tensor([[[[False, True], [False, False]]], [[[True, True], [True, False]]]])
    hint = "Scores are (B, H, L, S): where do B and S of the padding belong? Is one reason to hide a key enough?"
    require(combined.dim() <= 4, "the combined mask has more than 4 dimensions.", hint)
    assert_matches(torch.broadcast_tensors(combined, expected)[0], expected, what="the combined mask", hint=hint)
    require(submission.combine_masks() is None, "combine_masks() is not None.", "What do you return when there is nothing to hide?")


def test_equal_scores_give_the_mean(submission, tensors):
    """A query that fits all keys equally well takes the mean of the values"""
    key, value = tensors.normal((2, 5, 4), (2, 5, 3))
    output, weights = attend(submission, torch.zeros(2, 3, 4, dtype=torch.float64), key, value)
    expected = torch.full((2, 3, 5), 0.2, dtype=torch.float64)
    assert_matches(weights, expected, what="the weights", hint="Over which dimension does a query choose between keys?")
    assert_matches(output, value.mean(dim=1, keepdim=True).expand(2, 3, 3), what="the output", hint="Which values does each weight belong to?")


def test_scale(submission):
    """Scores are scaled: four features, a product of 2 ln 3, weights of 3/4 and 1/4"""
    query = torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    key = torch.tensor([[2 * math.log(3), 5.0, 0.0, 0.0], [0.0, 0.0, 7.0, 0.0]], dtype=torch.float64)
    value = torch.tensor([[8.0], [4.0]], dtype=torch.float64)
    output, weights = attend(submission, query, key, value)
    hint = "The scores should be ln 3 and 0. What do you divide by?"
    assert_matches(weights, torch.tensor([[0.75, 0.25]], dtype=torch.float64), what="the weights", hint=hint)
    assert_matches(output, torch.tensor([[7.0]], dtype=torch.float64), what="the output")


def test_mask(submission, tensors):
    """A hidden key weighs nothing, and a query that sees no key takes nothing"""
    query, key, value = tensors.normal((3, 4), (3, 4), (3, 2))
    mask = torch.tensor([[True, False, True], [True, True, True], [True, True, False]])
    output, weights = attend(submission, query, key, value, mask)
    expected = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    hint = "True means hidden. What is left of a row when one key is visible, and what when none is?"
    assert_matches(weights, expected, what="the weights", hint=hint)
    assert_matches(output, torch.stack([value[1], torch.zeros(2, dtype=torch.float64), value[2]]), what="the output", hint=hint)


def test_bad_arguments(submission, tensors):
    """Wrong arguments raise ValueError"""
    query, key, value = tensors.normal((3, 4), (5, 4), (5, 2))
    assert_raises_value_error(lambda: submission.causal_mask(0), when="causal_mask is asked for 0 queries")
    mask = torch.zeros(3, 5)
    assert_raises_value_error(lambda: submission.scaled_dot_product_attention(query, key, value, mask), when="the mask holds floating point numbers")
