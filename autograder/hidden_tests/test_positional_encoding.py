"""Hidden suite of 02_positional_encoding, from single rows of the table to precision, state and dropout of the module.

Tests of the module that are not about the table's values compare the module with itself, so that a wrong table costs once.
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
    fail,
    require,
)
from autograder.checking.tolerance import LOGIC, SANITY, smoke, table
from autograder.hidden_tests import naive_positional_encoding as naive

DEFAULT_MAX_LEN = 5000
MAX_LEN = 67  # where the default is not the question: a table made by slow loops is right too
# Worst error of the correct ways to add in low precision: rounding the row, then the sum, of values up to about 5.
WORST_LOW_PRECISION = {torch.bfloat16: 2e-2, torch.float16: 2.5e-3}


def plain(submission: Any, x: Tensor, max_len: int = MAX_LEN) -> Tensor:
    """What a fresh module without dropout makes of x from position 0: right or not, what other calls are held to."""
    return assert_tensor(submission.PositionalEncoding(x.size(-1), max_len)(x), x.shape, what="the module's result")


# The table


@pytest.mark.points(0.5)
def test_table_shape(submission: Any) -> None:
    """The table has one row for each position and one column for each feature."""
    for length, d_model in ((7, 4), (1, 6), (13, 2), (5, 16)):
        result = assert_tensor(submission.sinusoidal_encoding(length, d_model), (length, d_model), what="the table")
        require(result.dtype in (torch.float32, torch.float64), f"the table is {result.dtype}; float64 (or float32) was expected.")
    assert_tensor(submission.sinusoidal_encoding(length=3, d_model=8), (3, 8), what="the table")


@pytest.mark.points(0.5)
def test_position_zero(submission: Any) -> None:
    """Position 0 is encoded as 0, 1, 0, 1, …"""
    row = assert_tensor(submission.sinusoidal_encoding(3, 10), (3, 10), what="the table")[0].double()
    hint = "What are the sine and the cosine of 0, and which columns hold which?"
    assert_matches(row[0::2], torch.zeros(5).double(), what="the even columns of row 0", tolerance=table(0), hint=hint)
    assert_matches(row[1::2], torch.ones(5).double(), what="the odd columns of row 0", tolerance=table(0), hint=hint)


@pytest.mark.points(1)
def test_first_pair(submission: Any) -> None:
    """The first two columns are the sine and the cosine of the position itself."""
    for length, d_model in ((11, 2), (7, 8)):
        result = assert_tensor(submission.sinusoidal_encoding(length, d_model), (length, d_model), what="the table")
        expected = naive.rows(0, length, 2)
        hint = "What is the angle for i = 0? Do positions count from 0?"
        assert_matches(result[:, 0], expected[:, 0], what="column 0", tolerance=table(length), hint=hint)
        assert_matches(result[:, 1], expected[:, 1], what="column 1", tolerance=table(length), hint=hint)


@pytest.mark.points(1)
def test_pairs_share_a_frequency(submission: Any) -> None:
    """Columns 2i and 2i + 1 are the sine and the cosine of one angle."""
    for length, d_model in ((13, 6), (5, 14)):
        result = assert_tensor(submission.sinusoidal_encoding(length, d_model), (length, d_model), what="the table").double()
        squares = result[:, 0::2] ** 2 + result[:, 1::2] ** 2
        hint = "Which i belongs to column 5: the one of column 4, or another?"
        assert_matches(squares, torch.ones_like(squares), what="sine² + cosine² of the pairs", tolerance=table(length), hint=hint)


@pytest.mark.points(2)
def test_table_values(submission: Any) -> None:
    """Every pair has the frequency that the formula gives it."""
    for length, d_model in ((11, 8), (5, 12), (17, 4), (1, 2)):
        result = submission.sinusoidal_encoding(length, d_model)
        hint = "Work out the exponent of the base for the second pair and for the last one, by hand."
        assert_matches(result, naive.rows(0, length, d_model), what="the table", tolerance=table(length), hint=hint)


@pytest.mark.points(1)
@pytest.mark.requires("test_table_values")
def test_base(submission: Any) -> None:
    """The base is the one that the caller asks for, in every call."""
    hint = "Does the argument base reach the formula, and only this call's?"
    for base in (100.0, 10000.0, 2.5, 1.0, 0.5):
        assert_matches(submission.sinusoidal_encoding(9, 6, base), naive.rows(0, 9, 6, base), what="the table", tolerance=table(18), hint=hint)
    assert_matches(submission.sinusoidal_encoding(9, 6, base=77.0), naive.rows(0, 9, 6, 77.0), what="the table", tolerance=table(9), hint=hint)
    assert_matches(submission.sinusoidal_encoding(9, 6), naive.rows(0, 9, 6), what="the table of the default base", tolerance=table(9), hint=hint)


@pytest.mark.points(1.5)
@pytest.mark.requires("test_table_values")
def test_odd_width(submission: Any) -> None:
    """An odd d_model ends on a sine, and one feature is enough."""
    for length, d_model in ((7, 5), (4, 3), (11, 13), (6, 1), (1, 1)):
        result = submission.sinusoidal_encoding(length, d_model)
        hint = "How many sines and how many cosines fit? Does d_model in the exponent stay what it was?"
        assert_matches(result, naive.rows(0, length, d_model), what="the table of an odd d_model", tolerance=table(length), hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_table_values")
def test_long_table(submission: Any) -> None:
    """Far positions are as right as near ones."""
    length, d_model = 5003, 4
    result = assert_tensor(submission.sinusoidal_encoding(length, d_model), (length, d_model), what="the table")
    hint = "In which dtype are positions and angles computed? Float32 is the least that will do."
    for start in (250, 2040, 4980):
        expected = naive.rows(start, 23, d_model)
        assert_matches(result[start : start + 23], expected, what="a part of a long table", tolerance=table(start + 23), hint=hint)


@pytest.mark.points(0.5)
def test_table_bad_arguments(submission: Any) -> None:
    """A table without rows or columns, or a base that is not positive, is a ValueError."""
    cases = (
        ("length is less than 1", (0, 4)),
        ("length is less than 1", (-3, 4)),
        ("d_model is less than 1", (5, 0)),
        ("d_model is less than 1", (5, -2)),
        ("base is not positive", (5, 4, 0.0)),
        ("base is not positive", (5, 4, -10000.0)),
    )
    for when, arguments in cases:
        assert_raises_value_error(partial(submission.sinusoidal_encoding, *arguments), when=when)


# The module


@pytest.mark.points(0.5)
def test_positions_differ(submission: Any, tensors: Any) -> None:
    """The same vector comes out different at different positions."""
    x = tensors.normal((1, 1, 6)).expand(2, 5, 6).contiguous()
    result = plain(submission, x)
    result = assert_tensor(result, (2, 5, 6), what="the result").detach()
    for position in range(1, 5):
        apart = float((result[0, position] - result[0, position - 1]).abs().max())
        require(apart > 1e-3, "two positions with the same x give the same result.", "Does forward add anything that depends on the position?")


@pytest.mark.points(1)
def test_adds_the_table(submission: Any, tensors: Any) -> None:
    """The module adds row l of the table to every x[:, l], and does nothing else."""
    for batch, length, d_model in ((2, 5, 6), (7, 3, 4), (3, 3, 8), (1, 11, 2)):
        x = tensors.normal((batch, length, d_model))
        result = submission.PositionalEncoding(d_model)(x)
        hint = "Which dimension of x is the position? Is anything scaled on the way?"
        assert_matches(result, x + naive.rows(0, length, d_model), what="the result", tolerance=table(length), hint=hint)


@pytest.mark.points(1)
@pytest.mark.requires("test_positions_differ")
def test_start(submission: Any, tensors: Any) -> None:
    """Positions count from start."""
    x = tensors.normal((3, 23, 6))
    whole = plain(submission, x)
    module = submission.PositionalEncoding(6, MAX_LEN)
    hint = "Which rows of the table belong to x when start is not 0?"
    for start, length in ((4, 5), (0, 3), (1, 2), (16, 7), (9, 1)):
        chunk = slice(start, start + length)
        assert_matches(module(x[:, chunk], start=start), whole[:, chunk], what="the result with a start", tolerance=table(23), hint=hint)
    assert_matches(module(x[:, 11:15], 11), whole[:, 11:15], what="the result with a start", tolerance=table(23), hint=hint)


@pytest.mark.points(1)
def test_positions_end_at_max_len(submission: Any, tensors: Any) -> None:
    """Every position below max_len can be encoded, and none beyond it."""
    hint = "What is the last position that max_len allows, and where does x end?"
    for max_len in (11, 3):
        x = tensors.normal((2, max_len, 4))
        whole = plain(submission, x, max_len)
        module = submission.PositionalEncoding(d_model=4, max_len=max_len, dropout=0.0)
        for start in (0, 1, max_len - 1):
            assert_matches(module(x[:, start:], start=start), whole[:, start:], what="the result up to max_len", tolerance=table(11), hint=hint)
        for start, length in ((0, max_len + 1), (max_len, 1), (max_len - 1, 2), (max_len - 1, 3), (1, max_len), (400, 5)):
            refused = partial(module, tensors.normal((2, length, 4)), start=start)
            assert_raises_value_error(refused, when="start + L is greater than max_len")
        for start, length in ((-1, 1), (-1, 2), (-2, 2), (-3, 1), (-max_len, 2), (-1, max_len)):
            assert_raises_value_error(partial(module, tensors.normal((2, length, 4)), start=start), when="start is negative")
        hint_after = "What does a refused call leave behind?"
        assert_matches(module(x), whole, what="the result after refused calls", tolerance=table(11), hint=hint_after)
    module = submission.PositionalEncoding(4)
    x = tensors.normal((1, 6, 4))
    assert_tensor(module(x, start=DEFAULT_MAX_LEN - 6), (1, 6, 4), what="the result at the end of the default max_len")
    assert_raises_value_error(partial(module, x, start=DEFAULT_MAX_LEN - 5), when="start + L is greater than the default max_len")


@pytest.mark.points(0.5)
def test_module_bad_shapes(submission: Any, tensors: Any) -> None:
    """An x that is not (B, L, d_model) is a ValueError, never a silent broadcast."""
    module, narrow = submission.PositionalEncoding(6, MAX_LEN), submission.PositionalEncoding(1, MAX_LEN)
    shape: tuple[int, ...]
    for shape in ((2, 5, 1), (2, 5, 7), (2, 6, 5), (6, 6, 4)):
        assert_raises_value_error(partial(module, tensors.normal(shape)), when="x is not d_model wide")
    for shape in ((5, 6), (6,), (2, 3, 5, 6), (1, 1, 5, 6)):
        assert_raises_value_error(partial(module, tensors.normal(shape)), when="x is not 3-D")
    assert_raises_value_error(partial(narrow, tensors.normal((2, 5, 3))), when="x is not d_model wide")
    assert_raises_value_error(partial(narrow, tensors.normal((5, 1))), when="x is not 3-D")


@pytest.mark.points(1)
@pytest.mark.requires("test_positions_differ")
def test_nothing_learned_or_saved(submission: Any, tensors: Any) -> None:
    """The module has no parameters and an empty state dict, before and after calls."""
    module = submission.PositionalEncoding(6, max_len=31, dropout=0.5)
    _assert_stateless(module, "when new")
    module(tensors.normal((2, 29, 6)))
    _assert_stateless(module, "after a call")
    module.eval()
    module(tensors.normal((2, 11, 6), dtype=torch.float32), start=3)
    _assert_stateless(module, "after a call in eval mode")
    module.to(torch.float64)
    module(tensors.normal((1, 5, 6)))
    _assert_stateless(module, "after .to(dtype) and a call")


def _assert_stateless(module: Any, when: str) -> None:
    require(len(module.parameters()) == 0, f"the module has parameters {when}; nothing here is learned.", "What would an optimizer do with them?")
    hint = "The table follows from d_model: what would saving it add? How does a module keep a tensor without saving it?"
    try:
        module.load_state_dict({})  # asks without a name: what the kept tensor is called says nothing about the mistake
    except RuntimeError:
        fail(f"state_dict() is not empty {when}: an empty one does not load.", hint)
    require(len(module.state_dict()) == 0, f"state_dict() is not empty {when}.", hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_positions_differ")
def test_input_unchanged(submission: Any, tensors: Any) -> None:
    """The caller's x is not changed, in train and in eval mode."""
    for dropout in (0.0, 0.5):
        module = submission.PositionalEncoding(6, MAX_LEN, dropout=dropout)
        x = tensors.normal((2, 5, 6))
        module(x, start=2)
        module(x)
        module(tensors.normal((5, 2, 6)).transpose(0, 1))
        single = tensors.normal((2, 5, 6), dtype=torch.float32)
        module(single)
        module.eval()
        module(x)
        module(single)
    assert_inputs_unchanged(submission)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_adds_the_table")
def test_any_layout_and_size(submission: Any, tensors: Any) -> None:
    """The result does not depend on how x lies in memory, and sizes of 1 are sizes like any other."""
    module = submission.PositionalEncoding(6, MAX_LEN)
    layouts = {
        "a transposed x": tensors.normal((5, 3, 6)).transpose(0, 1),
        "an x with its features transposed": tensors.normal((3, 6, 5)).transpose(1, 2),
        "an x expanded over the batch": tensors.normal((1, 5, 6)).expand(3, 5, 6),
        "an x expanded over positions": tensors.normal((2, 1, 6)).expand(2, 7, 6),
        "every other position of an x": tensors.normal((2, 14, 6))[:, ::2],
        "one sequence": tensors.normal((1, 5, 6)),
        "one position": tensors.normal((4, 1, 6)),
        "one sequence of one position": tensors.normal((1, 1, 6)),
        "as many sequences as features": tensors.normal((6, 6, 6)),
    }
    hint = "Which of your steps assumes a shape or an order in memory?"
    for name, x in layouts.items():
        expected = x + naive.rows(0, x.size(1), 6)
        assert_matches(module(x), expected, what=f"the result for {name}", tolerance=table(7), hint=hint)
    for d_model in (1, 5):
        x = tensors.normal((3, 4, d_model))
        result = submission.PositionalEncoding(d_model, MAX_LEN)(x)
        hint = "Does the module take the widths that the table takes?"
        assert_matches(result, x + naive.rows(0, 4, d_model), what="the result for an odd d_model", tolerance=table(4), hint=hint)


@pytest.mark.points(1)
@pytest.mark.requires("test_positions_differ")
def test_calls_do_not_depend_on_each_other(submission: Any, tensors: Any) -> None:
    """A call's result depends on its arguments, not on earlier calls or on other modules."""
    hint = "What does the module remember from one call to the next, and what was it computed for?"
    wide, narrow = tensors.normal((4, 37, 22)), tensors.normal((4, 37, 18))
    small = submission.PositionalEncoding(22, max_len=7)
    first = small(wide[:, :5])
    other_width = submission.PositionalEncoding(18, max_len=41)
    module = submission.PositionalEncoding(22, max_len=41)
    whole, narrow_whole = plain(submission, wide, 41), plain(submission, narrow, 41)
    assert_matches(first, whole[:, :5], what="the result of a first, smaller module", tolerance=table(37), hint=hint)
    submission.sinusoidal_encoding(31, 22, 3.0)
    submission.sinusoidal_encoding(43, 22, 3.0)
    after = plain(submission, wide[:, :31], 43)
    assert_matches(after, whole[:, :31], what="the result after a table of another base", tolerance=table(31), hint=hint)
    for used, x, expected, batch, length, start in (
        (small, wide, whole, 2, 5, 0),
        (module, wide, whole, 2, 3, 0),
        (module, wide, whole, 2, 3, 0),
        (other_width, narrow, narrow_whole, 2, 3, 0),
        (module, wide, whole, 3, 11, 0),
        (module, wide, whole, 1, 2, 7),
        (other_width, narrow, narrow_whole, 1, 7, 30),
        (module, wide, whole, 2, 2, 0),
        (module, wide, whole, 4, 2, 0),
        (module, wide.flip(0), whole.flip(0), 2, 2, 0),
        (module, wide, whole, 2, 37, 0),
        (small, wide, whole, 1, 1, 2),
        (module, wide, whole, 2, 1, 36),
        (module, wide, whole, 2, 1, 0),
    ):
        chunk = slice(start, start + length)
        result = used(x[:batch, chunk], start=start)
        assert_matches(result, expected[:batch, chunk], what="the result of a later call", tolerance=table(37), hint=hint)
    x = wide[:2, :5]
    expected = module(x, start=4)
    with torch.no_grad():
        assert_matches(module(x, start=4), expected, what="the result under no_grad", tolerance=LOGIC, hint=hint)
    assert_matches(module.eval()(x, start=4), expected, what="the result in eval mode, without dropout", tolerance=LOGIC, hint=hint)
    assert_matches(module(x.clone().requires_grad_(), start=4), expected, what="the result for an x that requires grad", tolerance=LOGIC, hint=hint)


@pytest.mark.points(1)
@pytest.mark.requires("test_adds_the_table")
def test_float64_throughout(submission: Any, tensors: Any) -> None:
    """A float64 x is encoded in float64, in a module that was never converted."""
    hint = "In which dtype is the table when x arrives? What is lost cannot be won back by a conversion."
    for batch, length, d_model, start in ((2, 5, 6, 0), (3, 7, 4, 409), (2, 1, 6, 83), (2, 3, 10, 2)):
        x = tensors.normal((batch, length, d_model))
        module = submission.PositionalEncoding(d_model, max_len=499)
        expected = x + naive.rows(start, length, d_model)
        assert_matches(module(x, start=start), expected, what="the result for float64", tolerance=LOGIC, dtype=torch.float64, hint=hint)
        for earlier in (torch.float32, torch.bfloat16, torch.float64):
            used = submission.PositionalEncoding(d_model, max_len=499)
            used(x.to(earlier), start=start)
            module(x.to(earlier), start=start)
            result = used(x, start=start)
            assert_matches(
                result, expected, what=f"the result for float64 after a call in {earlier}", tolerance=LOGIC, dtype=torch.float64, hint=hint
            )
        with torch.no_grad():
            assert_matches(module(x, start=start), expected, what="the result for float64 under no_grad", tolerance=LOGIC, hint=hint)
        assert_matches(module.eval()(x, start=start), expected, what="the result for float64 in eval mode", tolerance=LOGIC, hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_float64_throughout")
def test_precision_survives_conversion(submission: Any, tensors: Any) -> None:
    """Converting the module with .to(dtype) does not change what it adds."""
    x = tensors.normal((2, 5, 6))
    expected = x + naive.rows(7, 5, 6)
    hint = "What does .to(dtype) convert in your module? The precision is x's own, whatever was done to the module."
    for used_before in (False, True):
        for dtypes in ((torch.float64,), (torch.float32,), (torch.bfloat16, torch.float64), (torch.float16,)):
            module = submission.PositionalEncoding(6, max_len=23)
            if used_before:
                module(x, start=7)
            for dtype in dtypes:
                module.to(dtype)
                assert_matches(module(x, start=7), expected, what="the result after .to(dtype)", tolerance=LOGIC, dtype=torch.float64, hint=hint)
            single = module(x.float(), start=7)
            assert_matches(single, expected, what="the float32 result after .to(dtype)", tolerance=table(12), dtype=torch.float32, hint=hint)
    x = tensors.normal((2, 4, 7))
    odd = submission.PositionalEncoding(7, MAX_LEN).to(torch.float64)
    assert_matches(odd(x), x + naive.rows(0, 4, 7), what="the result for float64 and an odd d_model", tolerance=LOGIC, dtype=torch.float64, hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_positions_differ")
def test_result_has_the_dtype_of_x(submission: Any, tensors: Any) -> None:
    """The result has the dtype of x, in train mode too."""
    x = tensors.normal((2, 5, 6))
    expected = plain(submission, x)
    hint = "Adding tensors of two dtypes gives the wider one. Which one is x's?"
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        tolerance = smoke(WORST_LOW_PRECISION[dtype]) if dtype in WORST_LOW_PRECISION else SANITY
        for module in (
            submission.PositionalEncoding(6, MAX_LEN),
            submission.PositionalEncoding(6, MAX_LEN).to(torch.float64),
            submission.PositionalEncoding(6, MAX_LEN).to(dtype),
        ):
            assert_matches(module(x.to(dtype)), expected, what="the result", tolerance=tolerance, dtype=dtype, hint=hint)
        dropped = submission.PositionalEncoding(6, MAX_LEN, dropout=0.5)(x.to(dtype))
        assert_tensor(dropped, (2, 5, 6), dtype, what="the result with dropout")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_adds_the_table", "test_result_has_the_dtype_of_x")
def test_low_precision_far_positions(submission: Any, tensors: Any) -> None:
    """Far positions keep apart when x is bfloat16, float16 or float32."""
    hint = "Which integers can bfloat16 tell apart? Compute angles in high precision and round the row, not the position."
    start, length, d_model = 4981, 13, 4
    expected_rows = naive.rows(start, length, d_model)
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        tolerance = smoke(WORST_LOW_PRECISION[dtype]) if dtype in WORST_LOW_PRECISION else table(start + length)
        x = tensors.normal((2, length, d_model), dtype=dtype)
        for module in (submission.PositionalEncoding(d_model), submission.PositionalEncoding(d_model).to(dtype)):
            result = module(x, start=start)
            assert_matches(result, x.double() + expected_rows, what="the result at far positions", tolerance=tolerance, dtype=dtype, hint=hint)


@pytest.mark.points(1)
def test_dropout_in_train_mode(submission: Any, tensors: Any) -> None:
    """In train mode dropout zeroes single values of the sum at rate p and scales the others by 1/(1 − p)."""
    batch, length, d_model = 3, 41, 32
    for rate, grad in ((0.5, True), (0.3, True), (0.3, False)):
        x = tensors.normal((batch, length, d_model), requires_grad=grad)
        undropped = plain(submission, x)
        module = submission.PositionalEncoding(d_model, MAX_LEN, dropout=rate)
        if rate == 0.5:
            module.eval()
            module(x)
            module.train()
        with torch.set_grad_enabled(grad):
            results = [assert_tensor(module(x), x.shape, torch.float64, what="the result with dropout") for _ in range(2)]
        for result in results:
            dropped = result == 0
            _assert_rate(dropped, rate)
            expected = (undropped / (1 - rate)).masked_fill(dropped, 0.0)
            hint = "What does dropout act on: x, the encoding, or their sum? By what are the survivors scaled?"
            assert_matches(result, expected, what="a value that dropout kept", tolerance=LOGIC, hint=hint)
            if undropped.requires_grad and grad:
                cotangent = tensors.normal(x.shape)
                expected = (_gradient(undropped, x, cotangent) / (1 - rate)).masked_fill(dropped, 0.0)
                assert_matches(_gradient(result, x, cotangent), expected, what="the gradient of x with dropout", tolerance=LOGIC)
        require(
            not torch.equal(results[0] == 0, results[1] == 0),
            "two calls in train mode drop the same values.",
            "Is the choice drawn anew in each call?",
        )
        if rate == 0.5:
            _assert_single_values(results[0] == 0)


def _assert_rate(dropped: Tensor, rate: float) -> None:
    count = dropped.numel()
    six_deviations = 6 * (rate * (1 - rate) / count) ** 0.5
    share = float(dropped.double().mean())
    if share == 0:
        fail("dropout zeroes nothing in train mode.", "Does your dropout know that the module is in train mode?")
    require(
        abs(share - rate) <= six_deviations,
        f"dropout zeroes a share of {share:.2f} of the values in train mode, not p.",
        "Is p the share dropped or kept?",
    )


def _assert_single_values(dropped: Tensor) -> None:
    for dimension, name in ((1, "a feature over all positions"), (2, "all features of a position")):
        alike = dropped.all(dimension) | ~dropped.any(dimension)
        require(not bool(alike.any()), f"dropout decides on {name} at once.", "Every value is kept or dropped on its own.")
    require(not torch.equal(dropped[0], dropped[1]), "dropout drops the same values of every sequence.", "Every value is kept or dropped on its own.")


@pytest.mark.points(0.5)
@pytest.mark.requires("test_positions_differ")
def test_no_dropout_in_eval_mode(submission: Any, tensors: Any) -> None:
    """In eval mode dropout does nothing, and neither does a dropout of 0 in train mode."""
    x = tensors.normal((2, 11, 6))
    expected = plain(submission, x)
    hint = "Who tells your dropout in which mode the module is?"
    module = submission.PositionalEncoding(6, MAX_LEN, dropout=0.9)
    module(x)
    module.eval()
    first, second = module(x), module(x)
    assert_matches(first, expected, what="the result in eval mode", tolerance=table(11), hint=hint)
    assert_equal(second, first, what="a second result in eval mode", hint="What differs between two calls with the same x?")
    for undropped in (
        submission.PositionalEncoding(6, MAX_LEN),
        submission.PositionalEncoding(6, MAX_LEN, dropout=0.0).train(),
        submission.PositionalEncoding(6, 29, 0.7).eval(),
    ):
        assert_matches(undropped(x), expected, what="the result without dropout", tolerance=table(11), hint=hint)


@pytest.mark.points(0.5)
@pytest.mark.requires("test_positions_differ")
def test_gradient_of_x(submission: Any, tensors: Any) -> None:
    """The gradient reaches x unchanged."""
    for module in (submission.PositionalEncoding(6, MAX_LEN), submission.PositionalEncoding(6, MAX_LEN).eval()):
        x = tensors.normal((2, 7, 6), requires_grad=True)
        cotangent = tensors.normal((2, 7, 6))
        assert_matches(_gradient(module(x), x, cotangent), cotangent, what="the gradient of x", tolerance=LOGIC)


def _gradient(result: Any, x: Tensor, cotangent: Tensor) -> Tensor:
    hint = "Is x still part of the graph when the encoding is added?"
    assert_tensor(result, x.shape, what="the result")
    require(result.requires_grad, "no gradient reaches x.", hint)
    (gradient,) = torch.autograd.grad(result, [x], cotangent, allow_unused=True, retain_graph=True)
    if gradient is None:
        fail("no gradient reaches x.", hint)
    return gradient
