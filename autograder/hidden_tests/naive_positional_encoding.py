"""The sinusoidal table as a loop over Python floats: what hidden tests compare with."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def rows(start: int, length: int, d_model: int, base: float = 10000.0) -> Tensor:
    """Rows start … start + length − 1 of the table, (length, d_model) float64."""
    positions, columns = range(start, start + length), range(d_model)
    return torch.tensor([[_value(position, column, d_model, base) for column in columns] for position in positions], dtype=torch.float64)


def _value(position: int, column: int, d_model: int, base: float) -> float:
    pair = column // 2
    angle = position * math.pow(base, -2 * pair / d_model)
    return math.sin(angle) if column % 2 == 0 else math.cos(angle)
