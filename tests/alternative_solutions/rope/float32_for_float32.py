"""Frequencies in float32 from the function, and in the dtype that is needed inside."""

from __future__ import annotations

import math

import torch
from torch import nn


def _freqs(head_dim, base, dtype):
    return 1.0 / (base ** (torch.arange(0, head_dim, 2, dtype=dtype) / head_dim))


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim < 2 or head_dim % 2 != 0:
        raise ValueError(f"head_dim must be even and >= 2: {head_dim}")
    return _freqs(head_dim, base, torch.float32)


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
    freq = _freqs(rotary_dim, base, work).to(work)
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
        if positions is None:
            positions = torch.arange(L, device=x.device)
        if positions.dim() == 2:
            positions = positions[:, None, :]
        q = self.w_q(x).view(B, L, H, D).transpose(1, 2)
        k = self.w_k(x).view(B, L, H, D).transpose(1, 2)
        v = self.w_v(x).view(B, L, H, D).transpose(1, 2)
        q = apply_rotary(q, positions, self.base)
        k = apply_rotary(k, positions, self.base)
        scores = q @ k.transpose(-2, -1) / math.sqrt(D)
        if mask is not None:
            scores = scores.masked_fill(mask, float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        if mask is not None:
            weights = torch.nan_to_num(weights)
        heads = weights @ v
        return self.w_o(heads.transpose(1, 2).reshape(B, L, E))
