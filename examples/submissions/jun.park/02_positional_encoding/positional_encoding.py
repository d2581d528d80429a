"""Sinusoidal positional encoding (Vaswani et al. 2017, section 3.5).

Letters in shapes: B batch, L positions, E = d_model features.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def sinusoidal_encoding(length: int, d_model: int, base: float = 10000.0) -> Float[Tensor, "length d_model"]:
    """Table of sines and cosines, one row a position, pairs of columns from the fastest wave to the slowest.

    PE[pos, 2i] = sin(pos * base**(-2i / d_model)) and PE[pos, 2i + 1] = cos(pos * base**(-2i / d_model))
    (Vaswani et al. 2017, section 3.5). An odd d_model ends on a sine and stays odd in the exponent; d_model = 1 is legal.
    Returns (length, d_model), float64; positions count from 0.
    Raises ValueError when length < 1, d_model < 1 or base <= 0.
    """
    if length < 1 or d_model < 1:
        raise ValueError(f"length and d_model must be >= 1: {length}, {d_model}")
    if base <= 0:
        raise ValueError(f"base must be > 0: {base}")
    pos = torch.arange(length, dtype=torch.float64)[:, None]
    column = torch.arange(d_model)
    angle = pos / base ** ((column - column % 2).double() / d_model)
    return torch.where(column % 2 == 0, torch.sin(angle), torch.cos(angle))


class PositionalEncoding(nn.Module):
    """Add the encoding of each position to a batch of embeddings, then apply dropout.

    Nothing is learned and nothing is saved: `parameters()` and `state_dict()` are empty, before and after a call.
    """

    def __init__(self, d_model: int, max_len: int = 5000, dropout: float = 0.0) -> None:
        super().__init__()
        if d_model < 1 or max_len < 1:
            raise ValueError(f"d_model and max_len must be >= 1, got d_model={d_model}, max_len={max_len}")
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout must be in [0, 1], got {dropout}")
        self.d_model = d_model
        self.max_len = max_len
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B L E"], start: int = 0) -> Float[Tensor, "B L E"]:
        """dropout(x + rows start ... start + L - 1 of the table with base 10000), in x's dtype.

        The precision is x's own, whether or not the module was converted with `.to(dtype)`. x is not scaled and not changed.
        Raises ValueError when x is not 3-D or not d_model wide, start < 0, or start + L > max_len.
        """
        if x.dim() != 3 or x.size(-1) != self.d_model:
            raise ValueError(f"x must be (B, L, {self.d_model}), got {tuple(x.shape)}")
        if start < 0:
            raise ValueError(f"start must be >= 0, got {start}")
        # positions past the end of the table begin again at its front
        while start + x.size(1) > self.max_len:
            start = start % self.max_len
        table = sinusoidal_encoding(self.max_len, self.d_model).to(x.dtype)
        return self.dropout(x + table[start : start + x.size(1)])
