"""Row by row without further sines: each position turns the pairs of the one before by one step (the angle-addition theorem)."""

import torch
from torch import nn


def _steps(d_model, base):
    angle = base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    return angle.sin(), angle.cos()


def _rows(stop, d_model, base):
    step_sin, step_cos = _steps(d_model, base)
    sin, cos = torch.zeros_like(step_sin), torch.ones_like(step_cos)
    rows = []
    for _ in range(stop):
        rows.append(torch.stack((sin, cos), dim=1).flatten()[:d_model])
        sin, cos = sin * step_cos + cos * step_sin, cos * step_cos - sin * step_sin
    return torch.stack(rows)


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1 or d_model < 1 or base <= 0:
        raise ValueError(f"cannot make a table of length {length}, d_model {d_model}, base {base}")
    return _rows(length, d_model, base)


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=5000, dropout=0.0):
        super().__init__()
        self.d_model = d_model
        self.max_len = max_len
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, start=0):
        if x.dim() != 3 or x.size(2) != self.d_model:
            raise ValueError(f"x is {tuple(x.shape)}, its last of three sizes should be {self.d_model}")
        if start < 0 or start > self.max_len - x.size(1):
            raise ValueError(f"start is {start}, which leaves no room for {x.size(1)} positions below {self.max_len}")
        return self.dropout(x + _rows(start + x.size(1), self.d_model, 10000.0)[start:].to(x))
