"""NumPy makes the table; as short as it gets."""

import numpy as np
import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1 or d_model < 1 or base <= 0:
        raise ValueError((length, d_model, base))
    p, c = np.ogrid[:length, :d_model]
    a = p * np.power(float(base), -2.0 * (c // 2) / d_model)
    return torch.from_numpy(np.where(c % 2, np.cos(a), np.sin(a)))


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=5000, dropout=0.0):
        super().__init__()
        self.d_model, self.max_len, self.dropout = d_model, max_len, nn.Dropout(dropout, inplace=True)

    def forward(self, x, start=0):
        if x.shape[1:] != (x.shape[1] if x.dim() == 3 else -1, self.d_model) or not 0 <= start <= self.max_len - x.shape[1]:
            raise ValueError((tuple(x.shape), start, self.d_model, self.max_len))
        return self.dropout(x + sinusoidal_encoding(start + x.shape[1], self.d_model)[start:].to(x))
