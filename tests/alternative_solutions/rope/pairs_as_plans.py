"""Pairs as index tensors of a frozen dataclass, the layout as an enum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim must be even and at least 2, got {head_dim}")
    index = torch.arange(head_dim // 2, dtype=torch.float64)
    return base ** (-2.0 * index / head_dim)


class Layout(StrEnum):
    INTERLEAVED = "interleaved"
    HALF = "half"

    @classmethod
    def parse(cls, name):
        for member in cls:
            if member.value == name:
                return member
        raise ValueError(f"layout={name!r}")


@dataclass(frozen=True)
class Plan:
    width: int
    base: float
    layout: Layout

    def pairs(self):
        half = self.width // 2
        first = torch.arange(half) * (2 if self.layout is Layout.INTERLEAVED else 1)
        return first, first + (1 if self.layout is Layout.INTERLEAVED else half)

    def run(self, x, positions):
        first, second = self.pairs()
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        angle = torch.einsum("...,i->...i", positions.to(torch.float64), rotary_frequencies(self.width, self.base)).to(dtype)
        a, b = x[..., first].to(dtype), x[..., second].to(dtype)
        turned = torch.cat((a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()), dim=-1).to(x.dtype)
        return x.index_copy(-1, torch.cat((first, second)), turned)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    width = x.shape[-1] if rotary_dim is None else rotary_dim
    if width not in range(2, x.shape[-1] + 1, 2):
        raise ValueError(f"rotary_dim={width} for x of {x.shape[-1]} features")
    return Plan(width, base, Layout.parse(layout)).run(x, positions)


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
