"""Multi-head attention (Vaswani et al. 2017, section 3.2.2)."""

from __future__ import annotations

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
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.ndim != 3 or x.shape[-1] != self.d_model:
                raise ValueError(f"{name} must be (B, length, {self.d_model}), got {list(x.shape)}")
        if len({query.shape[0], key.shape[0], value.shape[0]}) > 1:
            raise ValueError(f"batch sizes differ: {query.shape[0]}, {key.shape[0]}, {value.shape[0]}")
        if key.shape[1] != value.shape[1]:
            raise ValueError(f"{key.shape[1]} keys for {value.shape[1]} values")

        q = self.heads(self.w_q(query))  # (B, H, L, D)
        k = self.heads(self.w_k(key))  # (B, H, S, D)
        v = self.heads(self.w_v(value))  # (B, H, S, D)
        scores = torch.einsum("bhld,bhsd->bhls", q, k) * self.head_dim**-0.5
        weights = self.masked_softmax(scores, mask)
        mixed = torch.einsum("bhls,bhsd->blhd", self.dropout(weights), v)
        return self.w_o(mixed.reshape(*query.shape)), weights

    def heads(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        return x.view(batch, length, self.num_heads, self.head_dim).permute(0, 2, 1, 3)

    @staticmethod
    def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return scores.softmax(-1)
        if mask.dtype != torch.bool:
            raise ValueError(f"mask must be bool, got {mask.dtype}")
        if mask.ndim not in (2, 4):
            raise ValueError(f"mask must be (L, S) or (B, H, L, S), got {list(mask.shape)}")
        try:
            mask = mask.expand(scores.shape)
        except RuntimeError:
            raise ValueError(f"mask {list(mask.shape)} does not fit scores {list(scores.shape)}") from None
        blind = mask.all(-1, keepdim=True)
        weights = scores.masked_fill(mask & ~blind, float("-inf")).softmax(-1)
        return weights.masked_fill(blind, 0.0)
