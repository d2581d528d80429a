"""Homework 2, Chiara Moretti"""

import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1 or d_model < 1:
        raise ValueError(f"length ({length}) and d_model ({d_model}) should be 1 or more")
    if base <= 0:
        raise ValueError(f"base ({base}) should be positive")
    pe = torch.zeros(length, d_model, dtype=torch.double)
    pos = torch.arange(0, length, dtype=torch.double).unsqueeze(1)
    div = torch.pow(torch.tensor(base, dtype=torch.double), torch.arange(0, d_model, 2, dtype=torch.double) / d_model)
    pe[:, 0::2] = torch.sin(pos / div)
    pe[:, 1::2] = torch.cos(pos / div[: d_model // 2])  # one cosine less when d_model is odd
    return pe


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

    def forward(self, x, start=0):
        if x.dim() != 3:
            raise ValueError(f"x should have 3 dimensions, not {x.dim()}")
        batch, length, width = x.shape
        if width != self.d_model:
            raise ValueError(f"x is {width} wide, d_model is {self.d_model}")
        if start < 0:
            raise ValueError(f"start should not be negative: {start}")
        if start + length > self.max_len:
            raise ValueError(f"start + length is {start + length}, max_len is {self.max_len}")
        pe = sinusoidal_encoding(self.max_len, self.d_model)[start : start + length]
        return self.dropout(x + pe.to(x.dtype).unsqueeze(0))
