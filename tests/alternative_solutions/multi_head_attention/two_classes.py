"""A validator and a stateless attention as classes of their own; scores as (B, L, H, S) and moved into place at the end."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Arguments:
    """What forward was called with."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    d_model: int
    num_heads: int

    @property
    def scores_shape(self) -> tuple[int, int, int, int]:
        return (self.query.size(0), self.num_heads, self.query.size(1), self.key.size(1))

    def validate(self) -> None:
        self._require(all(x.dim() == 3 for x in (self.query, self.key, self.value)), "inputs must be 3-D")
        self._require(all(x.size(2) == self.d_model for x in (self.query, self.key, self.value)), f"inputs must be {self.d_model} wide")
        self._require(self.key.shape == self.value.shape, "key and value must have one shape")
        self._require(self.query.size(0) == self.key.size(0), "query and key must have one batch size")
        if self.mask is not None:
            self._require(self.mask.dtype == torch.bool, "mask must be bool")
            self._require(self.mask.dim() in (2, 4), "mask must be 2-D or 4-D")
            whole = self.scores_shape[-self.mask.dim() :]
            self._require(all(size in (1, full) for size, full in zip(self.mask.shape, whole, strict=True)), "mask must broadcast to the scores")

    def hidden(self) -> Tensor | None:
        """(B, L, H, S), or None."""
        return None if self.mask is None else self.mask.expand(self.scores_shape).transpose(1, 2)

    def _require(self, condition: bool, rule: str) -> None:
        if not condition:
            given = {name: None if x is None else (tuple(x.shape), x.dtype) for name, x in vars(self).items() if not isinstance(x, int)}
            raise ValueError(f"{rule}: {given}")


class Attention:
    def __init__(self, num_heads: int, dropout: nn.Module) -> None:
        self.num_heads = num_heads
        self.dropout = dropout

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        q, k, v = (x.unflatten(2, (self.num_heads, -1)) for x in (query, key, value))  # (B, length, H, D)

        scores = torch.matmul((q * q.size(3) ** -0.5).unsqueeze(3), k.permute(0, 2, 3, 1).unsqueeze(1)).squeeze(3)  # (B, L, H, S)
        if hidden is not None:
            scores = scores.masked_fill(hidden, float("-inf"))
            scores = scores.masked_fill(hidden.all(dim=3, keepdim=True), 0.0)
        weights = scores.softmax(dim=3)
        if hidden is not None:
            weights = weights.masked_fill(hidden, 0.0)
        weights = weights.transpose(1, 2)  # (B, H, L, S)
        heads = self.dropout(weights) @ v.transpose(1, 2)
        return heads.transpose(1, 2).reshape(query.shape), weights


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
        arguments = Arguments(query, key, value, mask, self.d_model, self.num_heads)
        arguments.validate()
        attention = Attention(self.num_heads, self.dropout)
        heads, weights = attention(self.w_q(query), self.w_k(key), self.w_v(value), arguments.hidden())
        return self.w_o(heads), weights
