# 佐藤 花  Homework 3
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
        for name, t in {"query": query, "key": key, "value": value}.items():
            if t.dim() != 3 or t.shape[-1] != self.d_model:
                raise ValueError(f"{name} has shape {tuple(t.shape)}, expected (B, length, {self.d_model})")
        if query.shape[0] != key.shape[0] or query.shape[0] != value.shape[0]:
            raise ValueError("batch sizes are different")
        if key.shape[1] != value.shape[1]:
            raise ValueError(f"{key.shape[1]} keys but {value.shape[1]} values")
        q = self._heads(self.w_q(query))
        k = self._heads(self.w_k(key))
        v = self._heads(self.w_v(value))
        scores = q @ k.transpose(-1, -2) * (1.0 / math.sqrt(self.head_dim))
        if mask is None:
            p = scores.softmax(dim=-1)
        else:
            if mask.dtype is not torch.bool or mask.dim() not in (2, 4):
                raise ValueError(f"mask: {mask.dtype}, {mask.dim()}-D")
            try:
                mask = torch.broadcast_to(mask, scores.shape)
            except RuntimeError as e:
                raise ValueError(f"mask has shape {tuple(mask.shape)}, scores {tuple(scores.shape)}") from e
            p = torch.where(mask, torch.finfo(scores.dtype).min, scores).softmax(dim=-1)
            p = torch.where(mask, 0.0, p)
        p = self.dropout(p)
        out = (p @ v).transpose(1, 2).flatten(2)
        return self.w_o(out), p

    def _heads(self, t):
        return t.unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2)
