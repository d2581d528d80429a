"""Torch's fused attention does the rest; one projection for query, key and value; float32 angles where x is not float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    return _frequencies(head_dim, base, torch.float32)


def _frequencies(head_dim, base, dtype):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"{head_dim} is odd or less than 2")
    return base ** (-torch.arange(0, head_dim, 2, dtype=dtype) / head_dim)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    dtype = torch.float64 if x.dtype is torch.float64 else torch.float32
    count = x.size(-1) if rotary_dim is None else rotary_dim
    if count > x.size(-1):
        raise ValueError(f"{count} features of {x.size(-1)} cannot turn")
    angle = torch.einsum("...,i->...i", positions.to(dtype), _frequencies(count, base, dtype))
    match layout:
        case "interleaved":
            a, b = x[..., 0:count:2], x[..., 1:count:2]
            join = lambda pair: torch.stack(pair, -1).flatten(-2)
        case "half":
            a, b = x[..., : count // 2], x[..., count // 2 : count]
            join = lambda pair: torch.cat(pair, -1)
        case _:
            raise ValueError(f"no layout {layout!r}")
    a, b, cos, sin = a.to(dtype), b.to(dtype), angle.cos(), angle.sin()
    return torch.cat([join((a * cos - b * sin, b * cos + a * sin)).to(x.dtype), x[..., count:]], -1)


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

    def forward(self, x, positions=None, mask=None):
        B, L, E = x.shape
        layers = (self.w_q, self.w_k, self.w_v)
        projected = F.linear(x, torch.cat([w.weight for w in layers]), torch.cat([w.bias for w in layers]))
        q, k, v = projected.view(B, L, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        places = (torch.arange(L) if positions is None else positions).view(-1, 1, L)
        q, k = apply_rotary(torch.stack((q, k)), places, self.base)
        visible = None if mask is None else ~mask.expand(B, self.num_heads, L, L)
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        return self.w_o(heads.transpose(1, 2).reshape(B, L, E))
