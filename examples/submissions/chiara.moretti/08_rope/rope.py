"""Homework 8, Chiara Moretti"""

import math

import torch
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim < 2 or head_dim % 2 != 0:
        raise ValueError(f"head_dim should be even and at least 2, not {head_dim}")
    return 1.0 / base ** (torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)


def rotate_half(x):
    n = x.size(-1) // 2
    return torch.cat([-x[..., n:], x[..., :n]], dim=-1)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    D = x.size(-1)
    n = rotary_dim if rotary_dim is not None else D
    if n % 2 != 0 or n < 2 or n > D:
        raise ValueError(f"rotary_dim should be even and in 2..{D}, not {n}")
    if layout not in ("interleaved", "half"):
        raise ValueError(f"unknown layout {layout!r}")
    angles = positions.unsqueeze(-1) * rotary_frequencies(n, base)
    if layout == "interleaved":
        angles = angles.repeat_interleave(2, dim=-1)
    else:
        angles = torch.cat([angles, angles], dim=-1)
    work = x.dtype if x.dtype == torch.float64 else torch.float32
    part = x[..., :n].to(work)
    part = part * angles.cos().to(work) + rotate_half(part) * angles.sin().to(work)
    return torch.cat([part.to(x.dtype), x[..., n:]], dim=-1)


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

    def split(self, t):
        return t.view(t.size(0), t.size(1), self.num_heads, self.head_dim).transpose(1, 2)

    def forward(self, x, positions=None, mask=None):
        if positions is None:
            positions = torch.arange(x.size(1))
        if positions.dim() == 2:
            positions = positions.unsqueeze(1)
        q = apply_rotary(self.split(self.w_q(x)), positions, self.base)
        k = apply_rotary(self.split(self.w_k(x)), positions, self.base)
        scores = q @ k.transpose(-1, -2) / math.sqrt(self.head_dim)
        if mask is not None:
            scores = scores.masked_fill(mask, -1e9)
        weights = scores.softmax(-1)
        if mask is not None:
            weights = weights.masked_fill(mask, 0.0)
        heads = weights @ self.split(self.w_v(x))
        return self.w_o(heads.transpose(1, 2).flatten(2))
