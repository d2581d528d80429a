"""Keys one at a time with a running maximum and sum, as in flash attention; the weights follow from the final statistics."""

from __future__ import annotations

import math

import torch
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
        self._check(query, key, value, mask)
        q, k, v = self._heads(self.w_q, query), self._heads(self.w_k, key), self._heads(self.w_v, value)
        shape = (q.size(0), self.num_heads, q.size(2), k.size(2))
        hidden = None if mask is None else torch.broadcast_to(mask, shape)
        largest = q.new_full(shape[:3], -math.inf)
        total = q.new_zeros(shape[:3])
        columns = []
        for j in range(shape[3]):
            score = (q * k[:, :, j : j + 1]).sum(-1) / math.sqrt(self.head_dim)  # (B, H, L)
            seen = None if hidden is None else ~hidden[..., j]
            candidate = score if seen is None else torch.where(seen, score, -math.inf)
            larger = torch.maximum(largest, candidate.detach())
            steady = larger.masked_fill(larger == -math.inf, 0.0)
            step = torch.exp(score - steady) if seen is None else torch.where(seen, torch.exp(torch.where(seen, score, steady) - steady), 0.0)
            total = total * torch.exp(largest - steady) + step
            largest = larger
            columns.append((score, seen))
        final = largest.masked_fill(largest == -math.inf, 0.0)
        divisor = total.masked_fill(total == 0, 1.0)
        weights = torch.stack([self._weight(score, seen, final) / divisor for score, seen in columns], dim=-1)
        heads = self.dropout(weights) @ v
        return self.w_o(heads.transpose(1, 2).reshape(query.shape)), weights

    @staticmethod
    def _weight(score: Tensor, seen: Tensor | None, largest: Tensor) -> Tensor:
        if seen is None:
            return torch.exp(score - largest)
        return torch.where(seen, torch.exp(torch.where(seen, score, largest) - largest), 0.0)

    def _heads(self, layer: nn.Linear, x: Tensor) -> Tensor:
        return torch.stack(layer(x).split(self.head_dim, dim=-1), dim=1)

    def _check(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.dim() != 3 or x.size(-1) != self.d_model or x.size(0) != query.size(0):
                raise ValueError(f"{name} of shape {tuple(x.shape)} does not fit d_model={self.d_model} and query {tuple(query.shape)}")
        if key.shape != value.shape:
            raise ValueError(f"key {tuple(key.shape)} and value {tuple(value.shape)} differ")
        if mask is not None:
            if mask.dtype != torch.bool:
                raise ValueError(f"mask is {mask.dtype}, must be bool")
            if mask.dim() not in (2, 4):
                raise ValueError(f"mask is {mask.dim()}-D, must be 2-D or 4-D")
            scores = torch.empty(query.size(0), self.num_heads, query.size(1), key.size(1), device="meta")
            try:
                mask.to("meta").expand(scores.shape)
            except RuntimeError:
                raise ValueError(f"mask {tuple(mask.shape)} does not broadcast to {tuple(scores.shape)}") from None
