"""Tables shared by all modules: one for each width and dtype, made longer when a call needs more rows."""

import torch
from torch import nn

_TABLES = {}


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1:
        raise ValueError(f"length must be positive: {length}")
    if d_model < 1:
        raise ValueError(f"d_model must be positive: {d_model}")
    if base <= 0:
        raise ValueError(f"base must be positive: {base}")
    frequency = torch.tensor([base ** (-i / d_model) for i in range(0, d_model, 2)], dtype=torch.float64)
    angle = torch.arange(length, dtype=torch.float64).view(length, 1).mul(frequency)
    return torch.cat([wave.unsqueeze(-1) for wave in (angle.sin(), angle.cos())], dim=-1).view(length, -1)[:, :d_model].contiguous()


def _table(rows, width, dtype):
    table = _TABLES.get((width, dtype))
    if table is None or table.size(0) < rows:
        table = _TABLES[width, dtype] = sinusoidal_encoding(2 * rows, width).to(dtype)
    return table


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=5000, dropout=0.0):
        super().__init__()
        self.d_model = d_model
        self.max_len = max_len
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, start=0):
        if len(x.shape) != 3 or x.shape[-1] != self.d_model:
            raise ValueError(f"x must be (batch, length, {self.d_model}), not {tuple(x.shape)}")
        end = start + x.shape[-2]
        if not (start >= 0 and end <= self.max_len):
            raise ValueError(f"start={start}, end={end}, max_len={self.max_len}")
        return self.dropout(x + _table(end, self.d_model, x.dtype)[start:end])
