"""Heads folded into the batch, (B * H, L, D), with baddbmm and an additive mask; rows without keys are multiplied away."""

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
        if not (query.dim() == key.dim() == value.dim() == 3):
            raise ValueError(f"expected 3-D inputs, got {query.dim()}-D, {key.dim()}-D and {value.dim()}-D")
        B, L, E = query.shape
        S = key.size(1)
        if self.d_model != E or key.shape != (B, S, self.d_model) or value.shape != key.shape:
            raise ValueError(f"query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)} do not fit, d_model={self.d_model}")
        H, D = self.num_heads, self.head_dim

        def fold(x: Tensor) -> Tensor:
            return x.reshape(B, -1, H, D).permute(0, 2, 1, 3).reshape(B * H, -1, D)

        q, k, v = fold(self.w_q(query)), fold(self.w_k(key)), fold(self.w_v(value))
        bias = q.new_zeros(B, H, L, S)
        sees_any = q.new_ones(B, H, L, 1)
        if mask is not None:
            if mask.dtype != torch.bool:
                raise ValueError(f"mask.dtype must be torch.bool, got {mask.dtype}")
            if mask.dim() == 2:
                if mask.shape != (L, S):
                    raise ValueError(f"a 2-D mask must be {(L, S)}, got {tuple(mask.shape)}")
                mask = mask.view(1, 1, L, S) if mask.is_contiguous() else mask.reshape(1, 1, L, S)
            if mask.dim() != 4:
                raise ValueError(f"mask must be 2-D or 4-D, got {mask.dim()}-D")
            for axis, (found, wanted) in enumerate(zip(mask.shape, (B, H, L, S), strict=True)):
                if found not in (1, wanted):
                    raise ValueError(f"dimension {axis} of mask is {found}, expected 1 or {wanted}")
            bias = bias.masked_fill(mask, torch.finfo(q.dtype).min)
            sees_any = (~mask).any(dim=-1, keepdim=True).expand(B, H, L, 1).to(q.dtype)
        scores = torch.baddbmm(bias.reshape(B * H, L, S), q, k.transpose(1, 2), alpha=1 / math.sqrt(D))
        weights = F.softmax(scores, dim=-1) * sees_any.reshape(B * H, L, 1)
        heads = torch.bmm(F.dropout(weights, self.dropout.p, self.training), v)
        merged = heads.reshape(B, H, L, D).permute(0, 2, 1, 3).reshape(B, L, E)
        return self.w_o(merged), weights.reshape(B, H, L, S)
