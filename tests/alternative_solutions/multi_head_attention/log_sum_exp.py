"""Weights as the exponential of a score minus the log-sum-exp of its row; no softmax."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _lengths(query: Tensor, key: Tensor, value: Tensor, width: int) -> tuple[int, int, int]:
    try:
        (b, length, e), (b2, s, e2), (b3, s3, e3) = query.shape, key.shape, value.shape
    except ValueError:
        raise ValueError(f"inputs must be 3-D, got {query.ndim}-D, {key.ndim}-D and {value.ndim}-D") from None
    if not (e == e2 == e3 == width and b == b2 == b3 and s == s3):
        raise ValueError(f"shapes {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)} do not fit d_model={width}")
    return b, length, s


def _as_4d(mask: Tensor, full: tuple[int, int, int, int]) -> Tensor:
    if mask.dtype != torch.bool or mask.ndim not in (2, 4):
        raise ValueError(f"mask must be bool, (L, S) or 4-D; got {mask.dtype} {tuple(mask.shape)}")
    mask = mask.reshape((1,) * (4 - mask.ndim) + tuple(mask.shape))
    if any(size not in (1, whole) for size, whole in zip(mask.shape, full, strict=True)):
        raise ValueError(f"mask {tuple(mask.shape)} does not broadcast to {full}")
    return mask


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
        B, L, S = _lengths(query, key, value, self.d_model)
        q = self.w_q(query).reshape(B, L, self.num_heads, self.head_dim)
        k = self.w_k(key).reshape(B, S, self.num_heads, self.head_dim)
        v = self.w_v(value).reshape(B, S, self.num_heads, self.head_dim)
        scale = self.head_dim**-0.25  # half of the scale on each side
        scores = (q * scale).permute(0, 2, 1, 3) @ (k * scale).permute(0, 2, 3, 1)
        if mask is not None:
            mask = _as_4d(mask, (B, self.num_heads, L, S))
            scores = scores.masked_fill(mask, -1e4)
        normalizer = torch.logsumexp(scores, dim=-1, keepdim=True)
        weights = torch.exp(scores - normalizer)
        if mask is not None:
            weights = weights * mask.logical_not()
        heads = (self.dropout(weights) @ v.transpose(1, 2)).movedim(1, 2)
        return self.w_o(heads.reshape(B, L, self.d_model)), weights
