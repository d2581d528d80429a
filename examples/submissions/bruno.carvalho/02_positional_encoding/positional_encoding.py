# Bruno Carvalho, HW2
import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1:
        raise ValueError(f"length={length}")
    if d_model < 1:
        raise ValueError(f"d_model={d_model}")
    if base <= 0:
        raise ValueError(f"base={base}")
    pos = torch.arange(length, dtype=torch.float64)
    columns = []
    for c in range(d_model):
        # columns 2i and 2i+1 share a frequency
        angle = pos / base ** ((c - c % 2) / d_model)
        columns.append(torch.sin(angle) if c % 2 == 0 else torch.cos(angle))
    return torch.stack(columns, dim=1)


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
        self.cached = None  # filled at the first call

    def forward(self, x, start=0):
        if x.dim() != 3 or x.shape[2] != self.d_model:
            raise ValueError(f"x must be (batch, length, {self.d_model}) but is {tuple(x.shape)}")
        L = x.shape[1]
        if start < 0 or start + L > self.max_len:
            raise ValueError(f"start={start} and length {L} do not fit into max_len={self.max_len}")
        if self.cached is None:
            self.cached = sinusoidal_encoding(self.max_len, self.d_model)
        return self.dropout(x + self.cached[start:start + L].to(x.dtype))
