"""The function returns float32, as it may; the module keeps apart from it and computes in float64. Dropout by hand."""

import torch
from torch import nn


def _angles(start, stop, d_model, base, dtype):
    pair = torch.arange((d_model + 1) // 2, dtype=dtype)
    return torch.arange(start, stop, dtype=dtype).reshape(-1, 1) * base ** (-2 * pair / d_model)


def _waves(angles, d_model):
    return torch.stack((angles.sin(), angles.cos()), dim=-1).reshape(angles.size(0), -1)[:, :d_model]


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1 or d_model < 1 or base <= 0:
        raise ValueError(f"length {length}, d_model {d_model} and base {base} must all be positive")
    return _waves(_angles(0, length, d_model, base, torch.float32), d_model)


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=5000, dropout=0.0):
        super().__init__()
        self.d_model, self.max_len, self.rate = d_model, max_len, dropout

    def forward(self, x, start=0):
        if x.ndim != 3 or x.shape[-1] != self.d_model or start < 0 or start + x.shape[1] > self.max_len:
            raise ValueError(f"x of shape {tuple(x.shape)} from position {start} does not fit d_model {self.d_model}, max_len {self.max_len}")
        stop = start + x.shape[1]
        total = x + _waves(_angles(start, stop, self.d_model, 10000.0, torch.float64), self.d_model).to(x)
        if not self.training or self.rate == 0.0:
            return total
        kept = torch.bernoulli(torch.full_like(total, 1.0 - self.rate)).bool()
        return torch.where(kept, total / (1.0 - self.rate), torch.zeros_like(total))
