"""Scores as the real part of query times conjugate key."""

from __future__ import annotations

import math

import torch
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim must be even and at least 2, got {head_dim}")
    index = torch.arange(head_dim // 2, dtype=torch.float64)
    return base ** (-2.0 * index / head_dim)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    width = x.shape[-1]
    if rotary_dim is None:
        rotary_dim = width
    if rotary_dim % 2 != 0:
        raise ValueError(f"rotary_dim must be even, got {rotary_dim}")
    if rotary_dim < 2:
        raise ValueError(f"rotary_dim must be at least 2, got {rotary_dim}")
    if rotary_dim > width:
        raise ValueError(f"rotary_dim must be at most {width}, got {rotary_dim}")
    if layout not in ("interleaved", "half"):
        raise ValueError(f"layout must be 'interleaved' or 'half', got {layout!r}")
    work = torch.float64 if x.dtype == torch.float64 else torch.float32
    freq = rotary_frequencies(rotary_dim, base).to(work)
    angle = positions.to(work).unsqueeze(-1) * freq
    cos, sin = angle.cos(), angle.sin()
    turned = x[..., :rotary_dim].to(work)
    rest = x[..., rotary_dim:]
    half = rotary_dim // 2
    if layout == "interleaved":
        a, b = turned[..., 0::2], turned[..., 1::2]
    else:
        a, b = turned[..., :half], turned[..., half:]
    new_a = a * cos - b * sin
    new_b = a * sin + b * cos
    out = torch.stack((new_a, new_b), dim=-1).flatten(-2) if layout == "interleaved" else torch.cat((new_a, new_b), dim=-1)
    return torch.cat((out.to(x.dtype), rest), dim=-1)


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
        H, D = self.num_heads, self.head_dim
        high = x.dtype if x.dtype == torch.float64 else torch.float32
        pos = torch.arange(L) if positions is None else positions
        angle = pos.to(torch.float64)[..., None] * rotary_frequencies(D, self.base)
        z = torch.polar(torch.ones_like(angle), angle).to(torch.complex128 if high == torch.float64 else torch.complex64)
        z = z.unsqueeze(-2)
        q = torch.view_as_complex(self.w_q(x).to(high).reshape(B, L, H, D // 2, 2)) * z
        k = torch.view_as_complex(self.w_k(x).to(high).reshape(B, L, H, D // 2, 2)) * z
        s = torch.einsum("blhd,bmhd->bhlm", q, k.conj()).real / D**0.5
        if mask is not None:
            s = s.masked_fill(mask, -math.inf)
            s = s.masked_fill(mask.expand_as(s).all(-1, keepdim=True), 0.0)
        a = s.softmax(-1)
        if mask is not None:
            a = a.masked_fill(mask, 0.0)
        out = torch.einsum("bhlm,bmhd->blhd", a, self.w_v(x).to(high).reshape(B, L, H, D)).reshape(B, L, E)
        return self.w_o(out.to(x.dtype))
