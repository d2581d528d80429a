# Bruno Carvalho, HW3
import math

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
        E = self.d_model
        if query.dim() != 3 or key.dim() != 3 or value.dim() != 3:
            raise ValueError("query, key and value must be 3-D")
        if query.shape[2] != E or key.shape[2] != E or value.shape[2] != E:
            raise ValueError(f"last dimension must be {E}")
        if query.shape[0] != key.shape[0] or key.shape[:2] != value.shape[:2]:
            raise ValueError(f"shapes do not fit: {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}")
        B, L, _ = query.shape
        S = key.shape[1]

        q = self.w_q(query).view(B, L, self.num_heads, self.head_dim).transpose(1, 2)
        k = self.w_k(key).view(B, S, self.num_heads, self.head_dim).transpose(1, 2)
        v = self.w_v(value).view(B, S, self.num_heads, self.head_dim).transpose(1, 2)
        s = q @ k.transpose(-1, -2) / math.sqrt(self.head_dim)
        if mask is not None:
            if mask.dtype != torch.bool or mask.dim() not in (2, 4):
                raise ValueError(f"mask: need a 2-D or 4-D bool mask, got {mask.dtype} {tuple(mask.shape)}")
            try:
                mask = mask.expand(B, self.num_heads, L, S)
            except RuntimeError:
                raise ValueError(f"mask {tuple(mask.shape)} does not fit")
            s = s.masked_fill(mask, -math.inf)
        w = torch.softmax(s, dim=-1)
        if mask is not None:
            w = w.masked_fill(mask.all(dim=-1, keepdim=True), 0.0)
        # put the heads side by side again
        out = (self.dropout(w) @ v).reshape(B, L, E)
        return self.w_o(out), w
