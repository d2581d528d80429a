"""Scaling: an assignment so small that a test of the grader can be read at a glance."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def halve(x: Tensor) -> Tensor:
    """x / 2 in the dtype of x. Raises ValueError when x holds integers."""
    ### BEGIN SOLUTION
    if not x.is_floating_point():
        raise ValueError(f"x must be floating point, got {x.dtype}")
    return x / 2
    ### END SOLUTION


class Scale(nn.Module):
    """Multiply by a learned weight, then drop."""

    def __init__(self, features: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x * weight, features last."""
        ### BEGIN SOLUTION
        return self.dropout(x * self.weight)
        ### END SOLUTION
