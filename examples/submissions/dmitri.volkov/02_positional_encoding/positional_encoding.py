import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1 or d_model < 1 or base <= 0:
        raise ValueError("bad arguments: length=%s d_model=%s base=%s" % (length, d_model, base))
    pos = torch.arange(length, dtype=torch.float64)[:, None]
    two_i = torch.arange(0, d_model, 2, dtype=torch.float64)
    angle = pos / base ** (two_i / d_model)
    return torch.cat([angle.sin(), angle.cos()], dim=1)[:, :d_model]


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
            raise ValueError("x must be (B, L, %d), got %s" % (self.d_model, tuple(x.shape)))
        end = start + x.shape[1]
        if start < 0 or end > self.max_len:
            raise ValueError("positions %d..%d out of range" % (start, end - 1))
        pe = sinusoidal_encoding(end, self.d_model)[start:]
        return self.dropout(x + pe.to(x))
