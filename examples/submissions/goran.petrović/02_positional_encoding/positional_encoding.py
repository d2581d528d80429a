import numpy as np
import torch
from torch import nn


def sinusoidal_encoding(length, d_model, base=10000.0):
    if length < 1 or d_model < 1 or base <= 0:
        raise ValueError(f"length={length}, d_model={d_model}, base={base}")
    angle_rads = np.arange(length)[:, None] / np.power(base, 2 * (np.arange(d_model)[None, :] // 2) / d_model)
    angle_rads[:, 0::2] = np.sin(angle_rads[:, 0::2])
    angle_rads[:, 1::2] = np.cos(angle_rads[:, 1::2])
    return torch.from_numpy(angle_rads)


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
        if x.ndim != 3 or x.shape[2] != self.d_model:
            raise ValueError(f"x: {x.shape}")
        if start < 0 or start + x.shape[1] > self.max_len:
            raise ValueError(f"start={start}, L={x.shape[1]}, max_len={self.max_len}")
        pos_encoding = sinusoidal_encoding(self.max_len, self.d_model)[start : start + x.shape[1]]
        return self.dropout(x + pos_encoding.to(x.dtype)[None])
