"""A buffer that is not saved, and that conversions of the module leave in float64."""

import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1 or d_model < 1 or base <= 0:
        raise ValueError(f"length={length}, d_model={d_model}, base={base}")
    column = torch.arange(d_model, dtype=torch.float64)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * base ** (-2 * (column // 2) / d_model)
    return torch.where(column % 2 == 0, torch.sin(angle), torch.cos(angle))


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=5000, dropout=0.0):
        super().__init__()
        self.d_model = d_model
        self.max_len = max_len
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("table", sinusoidal_encoding(max_len, d_model), persistent=False)

    def _apply(self, fn, recurse=True):
        exact = self.table
        super()._apply(fn, recurse)
        self.table = exact.to(self.table.device)
        return self

    def forward(self, x, start=0):
        if x.dim() != 3 or x.size(-1) != self.d_model:
            raise ValueError(f"x must be (B, L, {self.d_model}), got {tuple(x.shape)}")
        if start < 0 or start + x.size(1) > len(self.table):
            raise ValueError(f"rows {start} to {start + x.size(1) - 1} are not in a table of {len(self.table)}")
        return self.dropout(x + self.table[start : start + x.size(1)].to(x.dtype))
