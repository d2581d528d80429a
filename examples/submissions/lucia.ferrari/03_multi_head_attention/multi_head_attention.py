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
        if query.dim() != 3 or key.dim() != 3 or value.dim() != 3:
            raise ValueError("query, key, value must be 3-D")
        if query.size(2) != self.d_model or key.size(2) != self.d_model or value.size(2) != self.d_model:
            raise ValueError("query, key, value must be d_model wide")
        if query.size(0) != key.size(0) or key.size(0) != value.size(0):
            raise ValueError("batch sizes differ")
        if key.size(1) != value.size(1):
            raise ValueError("key and value lengths differ")
        B, L = query.size(0), query.size(1)
        q = self.w_q(query).view(B, L, self.num_heads, self.head_dim).transpose(1, 2)
        k = self.w_k(key).view(B, -1, self.num_heads, self.head_dim).transpose(1, 2)
        v = self.w_v(value).view(B, -1, self.num_heads, self.head_dim).transpose(1, 2)
        scores = q @ k.transpose(-2, -1) / self.head_dim ** 0.5
        if mask is not None:
            assert mask.dtype == torch.bool
            assert mask.dim() == 2 or mask.dim() == 4
            scores = scores.masked_fill(mask, float("-inf"))
        weights = scores.softmax(dim=-1)
        if mask is not None:
            weights = weights.masked_fill(mask, 0.0)
        output = self.w_o((weights @ v).transpose(1, 2).reshape(B, L, -1))
        return self.dropout(output), weights
