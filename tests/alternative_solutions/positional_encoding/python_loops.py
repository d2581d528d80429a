"""Entry by entry with the math module; a table of the longest length asked for so far, as a list of rows."""

import math

import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1:
        raise ValueError(f"length = {length}")
    if d_model < 1:
        raise ValueError(f"d_model = {d_model}")
    if not base > 0:
        raise ValueError(f"base = {base}")
    return torch.tensor([_row(position, d_model, base) for position in range(length)], dtype=torch.float64)


def _row(position, d_model, base):
    row = []
    for column in range(d_model):
        angle = position / base ** ((column - column % 2) / d_model)
        row.append(math.cos(angle) if column % 2 else math.sin(angle))
    return row


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=5000, dropout=0.0):
        super().__init__()
        self.d_model = d_model
        self.max_len = max_len
        self.dropout = nn.Dropout(dropout)
        self.rows = []

    def forward(self, x, start=0):
        if x.ndim != 3:
            raise ValueError(f"x has {x.ndim} dimensions, not 3")
        length, width = x.shape[1:]
        if width != self.d_model:
            raise ValueError(f"x is {width} wide, the module {self.d_model}")
        if not 0 <= start <= self.max_len - length:
            raise ValueError(f"start = {start} and {length} positions do not fit into {self.max_len}")
        while len(self.rows) < start + length:
            self.rows.append(_row(len(self.rows), self.d_model, 10000.0))
        added = torch.tensor(self.rows[start : start + length], dtype=x.dtype, device=x.device)
        return self.dropout(torch.stack([sequence + added for sequence in x]))
