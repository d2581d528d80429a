"""Query, key and value weights are concatenated on every call; one product when the three inputs are the same object."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _check(d_model: int, **inputs: Tensor) -> None:
    for name, x in inputs.items():
        if x.dim() != 3 or x.shape[-1] != d_model:
            raise ValueError(f"{name}: expected (batch, length, {d_model}), got {tuple(x.shape)}")
    if len({x.shape[0] for x in inputs.values()}) > 1:
        raise ValueError("batch sizes differ: " + ", ".join(f"{name} {x.shape[0]}" for name, x in inputs.items()))
    if inputs["key"].shape[1] != inputs["value"].shape[1]:
        raise ValueError(f"key has length {inputs['key'].shape[1]}, value {inputs['value'].shape[1]}")


def _full_mask(mask: Tensor, scores: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be boolean, is {mask.dtype}")
    if mask.dim() == 2:
        mask = mask[None, None]
    if mask.dim() != 4 or any(m != s and m != 1 for m, s in zip(mask.shape, scores.shape, strict=False)):
        raise ValueError(f"mask {tuple(mask.shape)} does not fit scores {tuple(scores.shape)}")
    return mask.expand_as(scores)


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
        _check(self.d_model, query=query, key=key, value=value)
        layers = (self.w_q, self.w_k, self.w_v)
        if query is key and key is value:
            weight = torch.cat([layer.weight for layer in layers])  # (3 E, E)
            bias = None if self.w_q.bias is None else torch.cat([layer.bias for layer in layers])
            projected = F.linear(query, weight, bias).chunk(3, dim=-1)
        else:
            projected = tuple(layer(x) for layer, x in zip(layers, (query, key, value), strict=False))
        q, k, v = (x.view(*x.shape[:2], self.num_heads, -1).transpose(1, 2) for x in projected)
        q = q / self.head_dim**0.5  # scaled before the product
        scores = q @ k.mT
        if mask is None:
            weights = scores.softmax(-1)
        else:
            hidden = _full_mask(mask, scores)
            nothing = hidden.all(-1, keepdim=True)
            # A row without keys keeps its scores, so that its softmax and its gradient stay finite, and is cleared after.
            weights = scores.masked_fill(hidden & ~nothing, -1e9).softmax(-1).masked_fill(hidden, 0)
        heads = self.dropout(weights) @ v
        return self.w_o(torch.cat(heads.unbind(1), dim=-1)), weights
