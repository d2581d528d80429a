import math

import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1 or d_model < 1 or base <= 0:
        raise ValueError(f"length {length}, d_model {d_model}, base {base}")
    rows = []
    for pos in range(length):
        row = []
        for i in range(0, d_model, 2):
            angle = pos * base ** (-i / d_model)
            row += [math.sin(angle), math.cos(angle)]
        rows.append(row[:d_model])
    return torch.tensor(rows, dtype=torch.float64)


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
        if x.dim() != 3 or x.size(2) != self.d_model:
            raise ValueError(f"x is {tuple(x.shape)}, expected (batch, length, {self.d_model})")
        length = x.size(1)
        if start < 0 or start + length > self.max_len:
            raise ValueError(f"no rows {start} to {start + length - 1} in a table of {self.max_len}")
        rows = sinusoidal_encoding(start + length, self.d_model)[start:]
        return self.dropout(x + rows.to(x.dtype))
