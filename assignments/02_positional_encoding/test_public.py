"""Public tests of 02_positional_encoding: a few values worked out by hand, and properties that any right solution has.

    pytest assignments/02_positional_encoding

They are where to begin. The hidden tests also ask what the handout says beyond them.
"""

from __future__ import annotations

import pytest
import torch

from autograder.checking.assertions import assert_equal, assert_inputs_unchanged, assert_matches, assert_raises_value_error, assert_tensor, require
from autograder.checking.tolerance import Tolerance

BY_HAND = Tolerance("four decimals", absolute=1e-4)


@pytest.mark.points(1)
def test_position_zero(submission):
    """Row 0 of the table reads 0, 1, 0, 1, 0, 1."""
    table = assert_tensor(submission.sinusoidal_encoding(3, 6), (3, 6), what="the table")
    expected = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    assert_matches(
        table[0].double(), expected, what="row 0", tolerance=BY_HAND, hint="What are the sine and the cosine of 0? Which columns hold which?"
    )


@pytest.mark.points(1)
def test_small_table(submission):
    """A table of two rows and four columns has the values that you can work out by hand."""
    table = submission.sinusoidal_encoding(2, 4, base=100.0)
    expected = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.8415, 0.5403, 0.0998, 0.9950]])
    assert_matches(
        table, expected, what="the table", tolerance=BY_HAND, hint="Write down the exponent of each pair: which power of 100 is it for i = 1?"
    )


@pytest.mark.points(1)
def test_last_column_of_an_odd_width(submission):
    """With three columns the table ends on a sine."""
    table = assert_tensor(submission.sinusoidal_encoding(2, 3), (2, 3), what="the table")
    require(abs(float(table[0, 2])) < 1e-6, "the last column does not start at 0, as a sine does.", "How many sines and how many cosines have room?")


@pytest.mark.points(1)
def test_module_adds(submission, tensors):
    """The module adds the same rows to every sequence of the batch."""
    x = tensors.normal((3, 5, 4))
    module = submission.PositionalEncoding(4)
    added = assert_tensor(module(x), (3, 5, 4), torch.float64, what="the result") - x
    hint = "Which dimension of x is the position? What depends on x's values?"
    assert_matches(added[1:], added[:1].expand(2, 5, 4), what="what was added to the second and third sequence", tolerance=BY_HAND, hint=hint)
    require(
        bool((added.abs() <= 1 + 1e-6).all()), "more than 1 was added somewhere; sines and cosines stay within −1 … 1.", "Is x scaled on the way?"
    )
    assert_inputs_unchanged(submission)


@pytest.mark.points(1)
def test_start_continues_a_sequence(submission, tensors):
    """Two chunks, the second with its start, give what the whole sequence gives."""
    x = tensors.normal((2, 7, 4))
    module = submission.PositionalEncoding(4)
    whole = module(x)
    hint = "At which row of the table does the second chunk begin?"
    assert_matches(module(x[:, 3:], start=3), whole[:, 3:], what="the second chunk", tolerance=BY_HAND, hint=hint)


@pytest.mark.points(1)
def test_no_more_than_max_len(submission, tensors):
    """max_len positions are fine, one more is a ValueError."""
    module = submission.PositionalEncoding(4, max_len=6)
    assert_tensor(module(tensors.normal((1, 6, 4))), (1, 6, 4), what="the result for max_len positions")
    too_long = tensors.normal((1, 7, 4))
    assert_raises_value_error(lambda: module(too_long), when="x is longer than max_len")


@pytest.mark.points(1)
def test_nothing_is_saved(submission, tensors):
    """There is nothing to learn and nothing to save; in eval mode two calls agree to the last bit."""
    module = submission.PositionalEncoding(4, dropout=0.5).eval()
    x = tensors.normal((2, 5, 4))
    assert_equal(module(x), module(x), what="a second result in eval mode", hint="Who tells your dropout that training is over?")
    require(not module.state_dict(), "state_dict() is not empty.", "Does the table have to be saved, when it follows from d_model?")
    require(not module.parameters(), "the module has parameters.", "What would an optimizer do with them?")
