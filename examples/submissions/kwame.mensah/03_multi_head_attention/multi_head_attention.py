"""HW 3. One big projection for q, k and v when they are the same tensor."""

import math

import torch
import torch.nn.functional as F
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

    def project(self, query, key, value):
        layers = (self.w_q, self.w_k, self.w_v)
        if query is key and key is value:
            weight = torch.cat([layer.weight for layer in layers])
            bias = None if self.w_q.bias is None else torch.cat([layer.bias for layer in layers])
            return F.linear(query, weight, bias).chunk(3, dim=-1)
        return tuple(layer(x) for layer, x in zip(layers, (query, key, value)))

    def forward(self, query, key, value, mask=None):
        for x in (query, key, value):
            if x.dim() != 3 or x.shape[2] != self.d_model:
                raise ValueError(f"expected (B, length, {self.d_model}), got {tuple(x.shape)}")
        if not query.shape[0] == key.shape[0] == value.shape[0] or key.shape[1] != value.shape[1]:
            raise ValueError(f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}")
        if mask is not None and (mask.dtype != torch.bool or mask.dim() not in (2, 4)):
            raise ValueError(f"mask of type {mask.dtype} and shape {tuple(mask.shape)}")
        B, L, E = query.shape
        q, k, v = (t.reshape(B, -1, self.num_heads, self.head_dim).transpose(1, 2) for t in self.project(query, key, value))
        scores = q @ k.mT / math.sqrt(self.head_dim)
        if mask is None:
            weights = scores.softmax(-1)
        else:
            try:
                mask = mask.expand(scores.shape)
            except RuntimeError as error:
                raise ValueError(f"mask of shape {tuple(mask.shape)} for scores of shape {tuple(scores.shape)}") from error
            largest = scores.masked_fill(mask, -1e300 if scores.dtype == torch.float64 else -1e4).amax(-1, keepdim=True).detach()
            powers = (scores - largest).masked_fill(mask, -math.inf).exp()
            total = powers.sum(-1, keepdim=True)
            weights = powers / total.masked_fill(total == 0, 1.0)
        output = (self.dropout(weights) @ v).transpose(1, 2).reshape(B, L, E)
        return self.w_o(output), weights
