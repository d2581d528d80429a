import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1 or d_model < 1 or base <= 0:
        raise ValueError(f"{length}, {d_model}, {base}")
    n = (d_model + 1) // 2
    omega = base ** (-2 * torch.arange(n, dtype=torch.float64) / d_model)
    phase = torch.arange(length, dtype=torch.float64).view(-1, 1, 1) * omega.view(1, -1, 1)
    return torch.cat([phase.sin(), phase.cos()], dim=2).view(length, 2 * n)[:, :d_model]


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
        if x.dim() != 3 or x.size(2) != self.d_model or start < 0 or start + x.size(1) > self.max_len:
            raise ValueError(f"x: {tuple(x.shape)}, start: {start}")
        return self.dropout(x + sinusoidal_encoding(start + x.size(1), self.d_model)[start:].to(x))
