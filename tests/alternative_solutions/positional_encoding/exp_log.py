"""The form of many tutorials: exp(−2i · ln(base) / d_model), outer product by einsum; the float64 table is a plain attribute."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if min(length, d_model) < 1 or base <= 0:
        raise ValueError(f"sinusoidal_encoding({length}, {d_model}, {base})")
    pe = torch.zeros(length, d_model).double()
    frequency = torch.exp(torch.arange(0, d_model, 2).double() * (-math.log(base) / d_model))
    angle = torch.einsum("p,f->pf", torch.arange(length).double(), frequency)
    pe[:, 0::2] = angle.sin()
    pe[:, 1::2] = angle[:, : d_model // 2].cos()
    return pe


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=5000, dropout=0.0):
        super().__init__()
        self.d_model, self.max_len, self.p = d_model, max_len, dropout
        self.pe = sinusoidal_encoding(max_len, d_model).unsqueeze(0)  # no buffer: .to(dtype) leaves it alone

    def forward(self, x, start=0):
        if x.dim() != 3 or x.shape[2] != self.d_model:
            raise ValueError(f"expected (B, L, {self.d_model}), not {list(x.shape)}")
        if start < 0 or start + x.shape[1] > self.max_len:
            raise ValueError(f"start {start} + {x.shape[1]} rows, but max_len is {self.max_len}")
        rows = self.pe.narrow(1, start, x.shape[1]).type_as(x)
        return F.dropout(torch.add(x, rows), p=self.p, training=self.training)
