# Zoë Núñez
import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    for name, number in (("length", length), ("d_model", d_model)):
        if number <= 0:
            raise ValueError(f"{name} should be positive, not {number}")
    if base <= 0:
        raise ValueError(f"base should be positive, not {base}")
    t = torch.arange(length, dtype=torch.float64)[:, None]
    w = 1 / base ** (torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)[None, :]
    # cos(a) = sin(a + pi/2), rounded a little; better to call cos
    table = torch.full((length, d_model), float("nan"), dtype=torch.float64)
    table[:, range(0, d_model, 2)] = (t * w).sin()
    table[:, range(1, d_model, 2)] = (t * w)[:, : d_model // 2].cos()
    return table


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
        if x.ndim != 3 or x.shape[-1] != self.d_model:
            raise ValueError(f"x is {tuple(x.shape)}, should be (B, L, {self.d_model})")
        if start < 0 or start + x.shape[1] >= self.max_len:
            raise ValueError(f"start {start} and length {x.shape[1]} do not fit into {self.max_len} positions")
        table = sinusoidal_encoding(self.max_len, self.d_model)
        return self.dropout(x + table[start : start + x.shape[1]].to(x))
