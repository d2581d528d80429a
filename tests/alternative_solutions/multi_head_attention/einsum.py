"""Written with einsum throughout, the projections of each head included: no layer is called and nothing is transposed."""

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
        b, _, _ = self._shape(query, "query")
        if self._shape(key, "key") != self._shape(value, "value"):
            raise ValueError(f"key {tuple(key.shape)} and value {tuple(value.shape)} must have one shape")
        if key.shape[0] != b:
            raise ValueError(f"query has {b} sequences, key {key.shape[0]}")
        q = self._project(self.w_q, query)
        k = self._project(self.w_k, key)
        v = self._project(self.w_v, value)
        scores = torch.einsum("bhld,bhsd->bhls", q, k) * self.head_dim**-0.5
        hidden = self._hidden(mask, scores)
        scores = torch.where(hidden, torch.finfo(scores.dtype).min, scores)
        weights = torch.where(hidden, 0.0, scores.softmax(-1))
        matrix = self.w_o.weight.unflatten(1, (self.num_heads, self.head_dim))
        output = torch.einsum("bhls,bhsd,ehd->ble", self.dropout(weights), v, matrix)
        return (output if self.w_o.bias is None else output + self.w_o.bias), weights

    def _shape(self, x: Tensor, name: str) -> tuple[int, ...]:
        if x.ndim != 3 or x.shape[2] != self.d_model:
            raise ValueError(f"{name} must be (B, length, {self.d_model}), not {tuple(x.shape)}")
        return tuple(x.shape)

    def _project(self, layer: nn.Linear, x: Tensor) -> Tensor:
        matrix = layer.weight.unflatten(0, (self.num_heads, self.head_dim))
        projected = torch.einsum("ble,hde->bhld", x, matrix)
        return projected if layer.bias is None else projected + layer.bias.view(1, self.num_heads, 1, self.head_dim)

    def _hidden(self, mask: Tensor | None, scores: Tensor) -> Tensor:
        if mask is None:
            return torch.zeros_like(scores, dtype=torch.bool)
        if mask.dtype is not torch.bool or mask.ndim not in {2, 4}:
            raise ValueError(f"mask must be bool and 2-D or 4-D, not {mask.dtype} of shape {tuple(mask.shape)}")
        try:
            return mask.expand(scores.shape)
        except RuntimeError as error:
            raise ValueError(f"mask {tuple(mask.shape)} does not fit scores {tuple(scores.shape)}") from error
