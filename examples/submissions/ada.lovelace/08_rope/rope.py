"""Rotary position embedding (Su et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def rotary_frequencies(head_dim: int, base: float = 10000.0) -> Tensor:
    """base**(-2i / head_dim) for i = 0 ... head_dim / 2 - 1, float64."""
    if head_dim < 2 or head_dim % 2 == 1:
        raise ValueError(f"head_dim must be even and at least 2, got {head_dim}")
    pair = torch.arange(head_dim // 2, dtype=torch.float64)
    return base ** (-2 * pair / head_dim)


def apply_rotary(
    x: Tensor, positions: Tensor, base: float = 10000.0, layout: str = "interleaved", rotary_dim: int | None = None
) -> Tensor:
    width = x.shape[-1]
    rotary_dim = width if rotary_dim is None else rotary_dim
    if rotary_dim % 2 == 1 or rotary_dim < 2 or rotary_dim > width:
        raise ValueError(f"rotary_dim must be even and between 2 and {width}, got {rotary_dim}")
    if layout == "interleaved":
        first, second = slice(0, rotary_dim, 2), slice(1, rotary_dim, 2)
    elif layout == "half":
        first, second = slice(0, rotary_dim // 2), slice(rotary_dim // 2, rotary_dim)
    else:
        raise ValueError(f"layout must be 'interleaved' or 'half', got {layout!r}")
    # Angles in float64, whatever x is; sines and cosines may be rounded.
    angles = positions.to(torch.float64).unsqueeze(-1) * rotary_frequencies(rotary_dim, base)
    dtype = torch.promote_types(x.dtype, torch.float32)
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    a, b = x[..., first].to(dtype), x[..., second].to(dtype)
    result = x.clone()
    result[..., first] = (a * cos - b * sin).to(x.dtype)
    result[..., second] = (a * sin + b * cos).to(x.dtype)
    return result


class RotaryMultiHeadAttention(nn.Module):
    def __init__(self, d_model: int, num_heads: int, base: float = 10000.0) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        if (d_model // num_heads) % 2 != 0:
            raise ValueError(f"the size of one head must be even, got {d_model} / {num_heads} = {d_model // num_heads}")
        self.d_model = d_model
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.base = base
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, positions: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        batch, length, _ = x.shape
        if positions is None:
            positions = torch.arange(length, device=x.device)
        if positions.ndim == 2:
            positions = positions[:, None]  # (B, 1, L)
        query, key, value = (
            layer(x).view(batch, length, self.num_heads, self.head_dim).transpose(1, 2) for layer in (self.w_q, self.w_k, self.w_v)
        )
        query = apply_rotary(query, positions, self.base)
        key = apply_rotary(key, positions, self.base)
        scores = query @ key.mT / math.sqrt(self.head_dim)
        if mask is None:
            weights = scores.softmax(dim=-1)
        else:
            weights = scores.masked_fill(mask, -math.inf).softmax(dim=-1)
            weights = weights.masked_fill(mask, 0.0)  # NaN too, in rows where everything is hidden
        return self.w_o((weights @ value).transpose(1, 2).flatten(2))
