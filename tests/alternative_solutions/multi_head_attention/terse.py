"""As short as it gets: one expression a step, the mask's rank checked by the length of its shape."""

from __future__ import annotations

import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model: int, num_heads: int, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout must be in [0, 1], got {dropout}")
        self.d_model = d_model
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.w_q = nn.Linear(d_model, d_model, bias=bias)
        self.w_k = nn.Linear(d_model, d_model, bias=bias)
        self.w_v = nn.Linear(d_model, d_model, bias=bias)
        self.w_o = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query, key, value, mask=None):
        if {x.ndim for x in (query, key, value)} != {3} or {x.shape[2] for x in (query, key, value)} != {self.d_model}:
            raise ValueError(f"need (B, length, {self.d_model}): {query.shape}, {key.shape}, {value.shape}")
        if len(query) != len(key) or key.shape != value.shape:
            raise ValueError(f"do not fit: {query.shape}, {key.shape}, {value.shape}")
        q, k, v = (w(x).view(*x.shape[:2], self.num_heads, -1).transpose(1, 2) for w, x in ((self.w_q, query), (self.w_k, key), (self.w_v, value)))
        a = q @ k.mT * self.head_dim**-0.5
        if mask is None:
            a = a.softmax(-1)
        elif (
            mask.dtype != torch.bool
            or len(mask.shape) not in (2, 4)
            or any(m not in (1, n) for m, n in zip(mask.shape[::-1], a.shape[::-1], strict=False))
        ):
            raise ValueError(f"bad mask: {mask.dtype} {mask.shape} for {a.shape}")
        else:
            a = a.masked_fill(mask, -torch.inf).softmax(-1).nan_to_num()
        return self.w_o((self.dropout(a) @ v).transpose(1, 2).flatten(2)), a
