"""What the hidden tests of 08 ask of a rotation, in one layout: against the formula, or against the submission's own plainest answers.

The values of a rotation are judged by the tests of values; what else is asked of it is held against itself.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from autograder.checking.assertions import (
    assert_equal,
    assert_inputs_unchanged,
    assert_matches,
    assert_raises_value_error,
    assert_tensor,
)
from autograder.checking.tensors import Tensors
from autograder.checking.tolerance import Tolerance, smoke, table
from autograder.hidden_tests import naive_rope as naive

FAR = 10**6
# Float32 angles of near positions move results by 1e-6 or so; whether float64 is kept is asked by tests of its own.
SOFT = Tolerance("turned by a float32 angle at most", relative=1e-4)
# Worst error of correct ways to turn a pair of length 1 in low precision: sine, cosine, products and sum each rounded.
WORST_LOW_PRECISION = {torch.bfloat16: 5e-3, torch.float16: 7e-4}


def largest_norm(x: Tensor) -> float:
    """An angle that is off by a little moves a vector by that times its length."""
    return max(1.0, float(x.detach().double().norm(dim=-1).max()))


def angle_tolerance(x: Tensor, positions: Tensor) -> Tolerance:
    """Angles in float32 or better."""
    return Tolerance("table", absolute=table(_largest(positions)).absolute * largest_norm(x))


def float64_tolerance(x: Tensor, positions: Tensor) -> Tolerance:
    """Angles in float64: position times frequency is rounded to some of the angle's last digits."""
    rounding = 64 * torch.finfo(torch.float64).eps * _largest(positions)
    return Tolerance("angles (float64)", absolute=(1e-10 + rounding) * largest_norm(x))


def low_precision_tolerance(x: Tensor, positions: Tensor) -> Tolerance:
    if x.dtype not in WORST_LOW_PRECISION:
        return angle_tolerance(x, positions)
    return Tolerance("low precision", absolute=(smoke(WORST_LOW_PRECISION[x.dtype]).absolute + table(_largest(positions)).absolute) * largest_norm(x))


def _largest(positions: Tensor) -> float:
    return float(positions.abs().max())


def check_values(submission: Any, x: Tensor, positions: Tensor, *, hint: str, what: str = "the result", **options: Any) -> None:
    """apply_rotary against the formula."""
    result = submission.apply_rotary(x, positions, **options)
    assert_matches(result, naive.turned(x, positions, **options), what=what, tolerance=angle_tolerance(x, positions), hint=hint)


def own(submission: Any, x: Tensor, positions: Tensor, **options: Any) -> Tensor:
    """The submission's rotation, in the plainest form: one sequence, one head, a position for each vector."""
    vectors = x.detach().reshape(1, 1, -1, x.size(-1))
    places = positions.expand(x.shape[:-1]).reshape(-1).clone()
    result = assert_tensor(submission.apply_rotary(vectors, places, **options), vectors.shape, what="the result of apply_rotary")
    return result.detach().reshape(x.shape)


def own_matrices(submission: Any, width: int, positions: Tensor, base: float = 10000.0, **options: Any) -> Tensor:
    """What the submission's rotation does to a vector at each of the positions, as matrices: (*positions.shape, D, D)."""
    basis = torch.eye(width, dtype=torch.float64).expand(*positions.shape, width, width)  # row d is the vector e_d
    columns = own(submission, basis, positions.unsqueeze(-1).expand(*positions.shape, width), base=base, **options)
    return columns.mT


def true_matrices(width: int, positions: Tensor, base: float = 10000.0) -> Tensor:
    basis = torch.eye(width, dtype=torch.float64).expand(*positions.shape, width, width)
    return naive.turned(basis, positions.unsqueeze(-1), base).mT


def gradients(result: Tensor, cotangent: Tensor, sources: list[Tensor]) -> list[Tensor]:
    """Gradients as tensors, zero where the result does not depend on a source."""
    if not result.requires_grad:
        return [torch.zeros_like(source) for source in sources]
    found = torch.autograd.grad(result, sources, cotangent, allow_unused=True)
    return [torch.zeros_like(source) if gradient is None else gradient for source, gradient in zip(sources, found, strict=True)]


def check_base(submission: Any, tensors: Tensors, layout: str) -> None:
    hint = "Does the argument base reach the frequencies, and only this call's?"
    x, positions = tensors.normal((2, 3, 5, 6)), torch.tensor([0, 1, 5, 9, 23])
    for base in (500.0, 10000.0, 2.5, 1.0, 500000.0):
        check_values(submission, x, positions, base=base, layout=layout, what="the result for another base", hint=hint)
    result, expected = submission.apply_rotary(x, positions, 77.0, layout), naive.turned(x, positions, 77.0, layout)
    assert_matches(result, expected, what="the result for another base", tolerance=angle_tolerance(x, positions), hint=hint)


def check_partial_rotation(submission: Any, tensors: Tensors, layout: str) -> None:
    positions = torch.tensor([3, 0, 14, 5, 8])
    for width, rotary_dim in ((8, 4), (10, 6), (8, 2), (7, 4), (5, 4), (3, 2), (6, 6)):
        for dtype in (torch.float64, torch.float32, torch.bfloat16) if (width, rotary_dim) in ((8, 4), (7, 4)) else (torch.float64,):
            x = tensors.normal((2, 3, 5, width), dtype=dtype)
            result = submission.apply_rotary(x, positions, layout=layout, rotary_dim=rotary_dim)
            result = assert_tensor(result, x.shape, dtype, what="the result with rotary_dim")
            hint = "What happens to features that do not turn? They keep their place, and every bit."
            assert_equal(result[..., rotary_dim:], x[..., rotary_dim:], what="the rest of the features", hint=hint)
            expected = own(submission, x[..., :rotary_dim].double(), positions, layout=layout)
            hint = "For the features that turn, is anything taken from D that belongs to rotary_dim: the exponent, the pairs?"
            tolerance = low_precision_tolerance(x, positions)
            assert_matches(result[..., :rotary_dim], expected, what="the turned part of the features", tolerance=tolerance, hint=hint)
    x = tensors.normal((2, 3, 5, 8))
    result, expected = submission.apply_rotary(x, positions, 77.0, layout, 6), own(submission, x[..., :6], positions, base=77.0, layout=layout)
    assert_tensor(result, x.shape, what="the result with rotary_dim")
    tolerance = angle_tolerance(x, positions)
    assert_matches(result[..., :6], expected, what="the turned part of the features with another base", tolerance=tolerance, hint=hint)
    check_gradient(submission, tensors, layout, width=5, rotary_dim=2)
    assert_inputs_unchanged(submission)


def check_positions_of_any_kind(submission: Any, tensors: Tensors, layout: str) -> None:
    x, tolerance = tensors.normal((2, 3, 7, 6)), Tolerance("table", absolute=1e-4)
    turn = partial(submission.apply_rotary, layout=layout)
    positions = torch.tensor([4, 19, 4, 0, 31, 7, 1])
    whole = assert_tensor(turn(x, positions), x.shape, what="the result")
    order = tensors.permutation(7)
    hint = "Is the position of a vector the number that the caller gives, or its place in the sequence?"
    assert_matches(turn(x[:, :, order], positions[order]), whole[:, :, order], what="a permuted sequence", tolerance=tolerance, hint=hint)
    for i in (0, 2, 4):
        alone = turn(x[:, :, i : i + 1], positions[i : i + 1])
        assert_matches(alone, whole[:, :, i : i + 1], what="a vector alone at its position", tolerance=tolerance, hint=hint)
    hint = "A turn by a negative position goes the other way round."
    for back in (positions, torch.tensor([0, -3, 5, -40, 17, -1, -3])):
        there = turn(x, back)
        assert_matches(turn(there, -back), x, what="a vector turned there and back", tolerance=tolerance, hint=hint)
    shifted = turn(turn(x, positions), torch.full((7,), -25))
    assert_matches(shifted, turn(x, positions - 25), what="a vector turned twice, as against once,", tolerance=tolerance, hint=hint)
    hint = "Positions may be integers of 32 bits too."
    assert_matches(turn(x, positions.to(torch.int32)), whole, what="the result for 32-bit positions", tolerance=tolerance, hint=hint)


def check_broadcasting(submission: Any, tensors: Tensors, layout: str) -> None:
    cases: tuple[tuple[tuple[int, ...], tuple[tuple[int, ...], ...]], ...] = (
        ((2, 3, 5, 4), ((5,), (1, 5), (3, 5), (3, 1), (2, 1, 5), (1, 1, 5), (1, 3, 5), (2, 3, 5), (2, 1, 1), (1,))),
        ((3, 3, 3, 4), ((3,), (3, 3), (3, 1, 3), (1, 3, 3), (3, 3, 1))),
        ((2, 1, 3, 5, 4), ((5,), (2, 1, 1, 5), (3, 5))),
        ((2, 5, 6), ((5,), (2, 5), (2, 1))),
        ((4, 4), ((4,), (1,))),
        ((1, 3, 1, 2), ((1,), (3, 1))),
    )
    hint = "Line the positions up with x.shape[:-1] from the right; the last dimension of x is that of the features."
    for shape, shapes_of_positions in cases:
        x = tensors.normal(shape)
        for shape_of_positions in shapes_of_positions if layout == "interleaved" else shapes_of_positions[:2]:
            positions = tensors.integers(shape_of_positions, high=60)
            result, expected = submission.apply_rotary(x, positions, layout=layout), own(submission, x, positions, layout=layout)
            tolerance = angle_tolerance(x, positions)
            assert_matches(result, expected, what="the result for positions that broadcast", tolerance=tolerance, hint=hint)
    positions = tensors.integers((2, 1, 5), high=40)
    layouts = {
        "a transposed x": (tensors.normal((2, 5, 3, 4)).transpose(1, 2), positions),
        "an x with its features transposed": (tensors.normal((2, 3, 4, 5)).transpose(2, 3), positions),
        "an expanded x": (tensors.normal((2, 3, 1, 4)).expand(2, 3, 5, 4), positions),
        "every other feature of an x": (tensors.normal((2, 3, 5, 8))[..., ::2], positions),
        "transposed positions": (tensors.normal((2, 3, 5, 4)), tensors.integers((5, 3), high=40).T),
        "expanded positions": (tensors.normal((2, 3, 5, 4)), tensors.integers((2, 1, 1), high=40).expand(2, 3, 5)),
    }
    for name, (x, given) in layouts.items():
        result, expected = submission.apply_rotary(x, given, layout=layout), own(submission, x, given, layout=layout)
        hint = "Which of your steps assumes an order in memory?"
        assert_matches(result, expected, what=f"the result for {name}", tolerance=angle_tolerance(x, given), hint=hint)


def check_float64(submission: Any, tensors: Tensors, layout: str) -> None:
    hint = "In which dtype are positions, frequencies and angles? What is lost there cannot be won back. And is there a largest position?"
    near = torch.tensor([1, 30, 7, -13, 0])
    far = torch.tensor([FAR, 257, -FAR, 4097, 999_983])
    for positions, base in ((near, 10000.0), (far, 10000.0), (far.flip(0), 543210.9), (torch.arange(5) + 2046, 100.0)):
        x = tensors.normal((2, 3, 5, 6))
        expected, tolerance = naive.turned(x, positions, base, layout), float64_tolerance(x, positions)
        for earlier in (torch.float32, torch.bfloat16):
            submission.apply_rotary(x.to(earlier), positions, base=base, layout=layout)
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                result = submission.apply_rotary(x, positions, base=base, layout=layout)
            assert_matches(result, expected, what="the result for float64", tolerance=tolerance, dtype=torch.float64, hint=hint)


def check_low_precision(submission: Any, tensors: Tensors, layout: str) -> None:
    hint = "Which integers can bfloat16 tell apart? Compute angles in high precision and round afterwards; is the result's dtype x's?"
    near, far = torch.tensor([0, 1, 5, 2, 9]), torch.tensor([4999, 257, 2049, 1023, 4097])
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for positions in (far * 200 if dtype is torch.float32 else far * 20, far, near):  # the farthest tells most, so it comes first
            x = tensors.normal((2, 3, 5, 6), dtype=dtype)
            expected = own(submission, x.double(), positions, layout=layout)
            tolerance = low_precision_tolerance(x, positions)
            result = submission.apply_rotary(x, positions, layout=layout)
            assert_matches(result, expected, what=f"the result for {str(dtype)[6:]}", tolerance=tolerance, dtype=dtype, hint=hint)


def check_gradient(submission: Any, tensors: Tensors, layout: str, width: int = 6, **options: Any) -> None:
    positions = torch.tensor([3, 2, 11, 0, 5])
    x = tensors.normal((2, 3, 5, width), requires_grad=True)
    cotangent = tensors.normal((2, 5, 3, width)).transpose(1, 2)
    result = submission.apply_rotary(x, positions, layout=layout, **options)
    assert_tensor(result, x.shape, torch.float64, what="the result")
    (found,) = gradients(result, cotangent, [x])
    matrices = own_matrices(submission, width, positions, layout=layout, **options)  # (L, D, D)
    expected = (cotangent.unsqueeze(-2) @ matrices).squeeze(-2)
    hint = "Does something cut the graph: detach, .data, no_grad, a new tensor made of numbers?"
    assert_matches(found, expected, what="the gradient of x", tolerance=SOFT, hint=hint)


def check_refusals(submission: Any, tensors: Tensors, layout: str) -> None:
    positions = torch.arange(5)
    even, odd, single = tensors.normal((2, 3, 5, 8), (2, 3, 5, 7), (2, 3, 5, 1))
    turn = partial(submission.apply_rotary, layout=layout)
    for rotary_dim in (1, 3, 7, -1):
        assert_raises_value_error(partial(turn, even, positions, rotary_dim=rotary_dim), when="rotary_dim is odd")
    for rotary_dim in (0, -2, -4):
        assert_raises_value_error(partial(turn, even, positions, rotary_dim=rotary_dim), when="rotary_dim is less than 2")
    for rotary_dim in (10, 12, 16, 9):
        assert_raises_value_error(partial(turn, even, positions, rotary_dim=rotary_dim), when="rotary_dim is greater than D")
    assert_raises_value_error(partial(turn, odd, positions, rotary_dim=8), when="rotary_dim is greater than D")
    assert_raises_value_error(partial(turn, odd, positions, rotary_dim=7), when="rotary_dim is odd")
    for x in (odd, single):
        assert_raises_value_error(partial(turn, x, positions), when="D is odd and rotary_dim is not given")
