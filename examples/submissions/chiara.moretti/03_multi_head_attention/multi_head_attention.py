"""Homework 3, Chiara Moretti"""

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
        for t in (query, key, value):
            if t.dim() != 3 or t.size(2) != self.d_model:
                raise ValueError(f"inputs should be (B, length, {self.d_model}), not {tuple(t.shape)}")
        if query.size(0) != key.size(0) or query.size(0) != value.size(0):
            raise ValueError("batch sizes differ")
        if key.size(1) != value.size(1):
            raise ValueError(f"there are {key.size(1)} keys and {value.size(1)} values")

        def split(t):
            return t.reshape(t.size(0), t.size(1), self.num_heads, self.head_dim).transpose(1, 2)

        q, k, v = split(self.w_q(query)), split(self.w_k(key)), split(self.w_v(value))
        scores = torch.matmul(q, k.transpose(-2, -1)) / self.d_model**0.5
        if mask is not None:
            if mask.dtype != torch.bool:
                raise ValueError(f"mask should be bool, not {mask.dtype}")
            if mask.dim() != 2 and mask.dim() != 4:
                raise ValueError(f"mask should have 2 or 4 dimensions, not {mask.dim()}")
            try:
                mask = mask.broadcast_to(scores.shape)
            except RuntimeError as error:
                raise ValueError(f"mask does not fit: {mask.shape} vs {scores.shape}") from error
            scores = scores.masked_fill(mask, torch.finfo(scores.dtype).min)
        weights = torch.softmax(scores, dim=-1)
        if mask is not None:
            weights = weights.masked_fill(mask, 0.0)
        heads = torch.matmul(self.dropout(weights), v).transpose(1, 2)
        return self.w_o(heads.reshape(query.shape)), weights
