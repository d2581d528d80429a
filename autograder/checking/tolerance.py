"""How far a right answer may be from the expected one.

Logic is judged in float64, where every correct way of writing attention agrees to about 1e-14 and the
smallest known mistake moves the answer by more than 1e-6. Float32 only shows overflow and lost dtypes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FLOAT32_EPSILON = torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class Tolerance:
    """Largest difference allowed: absolute + relative * max(1, largest expected magnitude)."""

    name: str
    absolute: float = 0.0
    relative: float = 0.0

    def bound(self, expected: Tensor) -> float:
        if expected.numel() == 0:
            return self.absolute + self.relative
        finite = expected.detach().double().abs()
        finite = finite[torch.isfinite(finite)]
        largest = float(finite.max()) if finite.numel() else 1.0
        return self.absolute + self.relative * max(1.0, largest)


LOGIC = Tolerance("logic (float64)", relative=1e-10)
SANITY = Tolerance("sanity (float32)", relative=1e-5)
SANITY_GRADIENT = Tolerance("sanity (float32 gradients)", relative=1e-4)
EXACT = Tolerance("exact")


def table(largest_position: float) -> Tolerance:
    """Bound for tables of sines and cosines, which may rightly be float32: the angle itself is rounded."""
    return Tolerance("table", absolute=1e-6 + 2 * FLOAT32_EPSILON * largest_position)


def smoke(worst_correct_error: float) -> Tolerance:
    """Bound for low precision, a smoke test: ten times the worst error of a correct variant."""
    return Tolerance("low precision", absolute=10 * worst_correct_error)


def default_for(actual: Tensor, expected: Tensor) -> Tolerance:
    """Exact for booleans and integers, logic as soon as one side is float64, sanity otherwise."""
    if not expected.dtype.is_floating_point:
        return EXACT
    if torch.float64 in (actual.dtype, expected.dtype):
        return LOGIC
    return SANITY
