"""One head after the other, each with its own rows of the projections; the heads are added up through their columns of w_o."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self.check_arguments(query, key, value, mask)
        output = 0
        all_weights = []
        for head in range(self.num_heads):
            columns = slice(head * self.head_dim, (head + 1) * self.head_dim)
            q, k, v = (
                F.linear(x, layer.weight[columns], None if layer.bias is None else layer.bias[columns])
                for layer, x in ((self.w_q, query), (self.w_k, key), (self.w_v, value))
            )
            scores = torch.bmm(q, k.mT).div(math.sqrt(self.head_dim))  # (B, L, S)
            if mask is not None:
                # A mask of one head serves all.
                of_head = mask if mask.dim() == 2 else mask[:, head if mask.size(1) > 1 else 0]
                scores = scores.masked_fill(of_head, float("-inf"))
            weights = scores.softmax(dim=2).nan_to_num()
            all_weights.append(weights)
            output = output + self.dropout(weights) @ v @ self.w_o.weight[:, columns].T
        if self.w_o.bias is not None:
            output = output + self.w_o.bias
        return output, torch.stack(all_weights, dim=1)

    def check_arguments(self, query, key, value, mask):
        for name, x in {"query": query, "key": key, "value": value}.items():
            if x.dim() != 3:
                raise ValueError(f"{name} must have 3 dimensions, it has {x.dim()}")
            if x.size(2) != self.d_model:
                raise ValueError(f"{name} must be {self.d_model} wide, it is {x.size(2)}")
            if x.size(0) != query.size(0):
                raise ValueError(f"{name} has batch size {x.size(0)}, query {query.size(0)}")
        if key.size(1) != value.size(1):
            raise ValueError(f"{key.size(1)} keys but {value.size(1)} values")
        if mask is None:
            return
        if mask.dtype != torch.bool:
            raise ValueError(f"mask is {mask.dtype}, expected bool")
        full = (query.size(0), self.num_heads, query.size(1), key.size(1))
        if mask.dim() == 2:
            full = full[2:]
        if mask.dim() != len(full) or any(found not in (1, size) for found, size in zip(mask.shape, full, strict=False)):
            raise ValueError(f"mask of shape {tuple(mask.shape)} does not broadcast to {full}")
