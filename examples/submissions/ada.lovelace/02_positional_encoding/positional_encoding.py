"""Sinusoidal positional encoding (Vaswani et al. 2017, section 3.5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sinusoidal_encoding(length: int, d_model: int, base: float = 10000.0) -> Tensor:
    if length < 1 or d_model < 1 or base <= 0:
        raise ValueError(f"length and d_model must be >= 1 and base > 0, got {length}, {d_model}, {base}")
    pairs = (d_model + 1) // 2
    wavelength = torch.exp(torch.arange(pairs, dtype=torch.float64) * (2 * math.log(base) / d_model))
    angle = torch.arange(length, dtype=torch.float64)[:, None] / wavelength  # (length, pairs)
    both = torch.stack((angle.sin(), angle.cos()), dim=-1)  # (length, pairs, 2)
    return both.flatten(1)[:, :d_model].contiguous()


class PositionalEncoding(nn.Module):
    def __init__(self, d_model: int, max_len: int = 5000, dropout: float = 0.0) -> None:
        super().__init__()
        if d_model < 1 or max_len < 1:
            raise ValueError(f"d_model and max_len must be >= 1, got d_model={d_model}, max_len={max_len}")
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout must be in [0, 1], got {dropout}")
        self.d_model = d_model
        self.max_len = max_len
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        if x.ndim != 3 or x.shape[-1] != self.d_model:
            raise ValueError(f"expected x of shape (B, L, {self.d_model}), got {list(x.shape)}")
        stop = start + x.shape[1]
        if not 0 <= start < stop <= self.max_len:
            raise ValueError(f"positions {start} to {stop - 1} do not lie in 0 to {self.max_len - 1}")
        table = sinusoidal_encoding(stop, self.d_model)
        return self.dropout(x + table[start:stop].to(device=x.device, dtype=x.dtype))
