# Devoir 2, Maëlle Dubois
import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1 or d_model < 1 or base <= 0:
        raise ValueError(f"length={length}, d_model={d_model}, base={base}")
    pos = torch.arange(length, dtype=torch.float64).reshape(-1, 1)
    freq = base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    table = torch.zeros(length, d_model, dtype=torch.float64)
    table[:, 0::2] = torch.sin(pos * freq)
    table[:, 1::2] = torch.cos(pos * freq)
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
        if x.dim() != 3 or x.shape[2] != self.d_model:
            raise ValueError(f"x must be (B, L, {self.d_model}): {tuple(x.shape)}")
        if start < 0 or start + x.shape[1] > self.max_len:
            raise ValueError(f"start={start}, L={x.shape[1]}, max_len={self.max_len}")
        table = sinusoidal_encoding(start + x.shape[1], self.d_model)
        return self.dropout(x + table[start:].to(x.dtype))
