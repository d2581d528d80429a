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
        if not (query.ndim == key.ndim == value.ndim == 3):
            raise ValueError("inputs must be 3-D")
        if not (query.shape[2] == key.shape[2] == value.shape[2] == self.d_model):
            raise ValueError("inputs must be %d wide" % self.d_model)
        if key.shape != value.shape or query.shape[0] != key.shape[0]:
            raise ValueError("shapes do not fit: %s %s %s" % (tuple(query.shape), tuple(key.shape), tuple(value.shape)))
        B, L, S = query.shape[0], query.shape[1], key.shape[1]
        if mask is not None:
            if mask.dtype != torch.bool:
                raise ValueError("mask must be bool, got %s" % mask.dtype)
            if mask.ndim not in (2, 4):
                raise ValueError("mask must be 2-D or 4-D, got %d-D" % mask.ndim)
            try:
                mask = mask.expand(B, self.num_heads, L, S)
            except RuntimeError:
                raise ValueError("mask does not broadcast")

        q, k, v = self.w_q(query), self.w_k(key), self.w_v(value)
        heads, all_weights = [], []
        for h in range(self.num_heads):
            cols = slice(h * self.head_dim, (h + 1) * self.head_dim)
            scores = q[..., cols] @ k[..., cols].mT / self.head_dim**0.5  # (B, L, S)
            if mask is None:
                weights = scores.softmax(-1)
            else:
                empty = mask[:, h].all(-1, keepdim=True)
                weights = scores.masked_fill(mask[:, h] & ~empty, float("-inf")).softmax(-1)
                weights = weights.masked_fill(empty, 0.0)
            heads.append(self.dropout(weights) @ v[..., cols])
            all_weights.append(weights)
        return self.w_o(torch.cat(heads, dim=-1)), torch.stack(all_weights, dim=1)
