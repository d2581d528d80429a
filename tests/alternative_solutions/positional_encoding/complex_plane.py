"""Pairs as points on the unit circle: exp(i · angle), whose imaginary part is the sine; low precision is added in float32."""

import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1 or d_model < 1:
        raise ValueError(f"there is no table of {length} x {d_model}")
    if base <= 0:
        raise ValueError(f"base {base} is not positive")
    pairs = -(-d_model // 2)
    frequency = torch.as_tensor(base, dtype=torch.float64).pow(-2.0 * torch.arange(pairs, dtype=torch.float64) / d_model)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    points = torch.polar(torch.ones_like(angle), angle)
    return torch.view_as_real(points).flip(-1).flatten(1)[:, :d_model]


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=5000, dropout=0.0):
        super().__init__()
        self.d_model = d_model
        self.max_len = max_len
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, start=0):
        if x.dim() != 3 or x.size(-1) != self.d_model:
            raise ValueError(f"bad shape {tuple(x.shape)} for d_model = {self.d_model}")
        if start < 0 or start + x.size(1) > self.max_len:
            raise ValueError(f"bad start {start} for {x.size(1)} positions and max_len = {self.max_len}")
        table = sinusoidal_encoding(self.max_len, self.d_model)[start : start + x.size(1)]
        inside = torch.promote_types(x.dtype, torch.float32)
        return self.dropout((x.to(inside) + table.to(inside)).to(x.dtype))
