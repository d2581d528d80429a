"""A pair of features as one complex number, its turn as a product; masks by -inf and nan_to_num."""

from __future__ import annotations

import torch
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim must be even and at least 2, not {head_dim}")
    return 1.0 / base ** (torch.arange(head_dim // 2, dtype=torch.float64) * 2 / head_dim)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    if layout not in ("interleaved", "half"):
        raise ValueError(f"unknown layout {layout}")
    D = x.shape[-1]
    if rotary_dim is None:
        rotary_dim = D
    if rotary_dim > D:
        raise ValueError(f"rotary_dim {rotary_dim} > {D}")
    theta = rotary_frequencies(rotary_dim, base)  # checks that rotary_dim is even
    phase = positions[..., None] * theta
    turn = torch.polar(torch.ones_like(phase), phase)
    front, rest = x[..., :rotary_dim].to(torch.float64), x[..., rotary_dim:]
    if layout == "half":  # sorted into neighbours, and back at the end
        front = front.unflatten(-1, (2, rotary_dim // 2)).mT.flatten(-2)
    turned = torch.view_as_complex(front.unflatten(-1, (rotary_dim // 2, 2)).contiguous()) * turn
    pairs = torch.view_as_real(turned)
    front = (pairs.mT if layout == "half" else pairs).flatten(-2)
    return torch.cat((front.to(x.dtype), rest), dim=-1)


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
        if positions is None:
            positions = torch.arange(L)
        positions = positions.view(-1, 1, L)
        q = apply_rotary(self.w_q(x).view(B, L, self.num_heads, -1).transpose(1, 2), positions, self.base)
        k = apply_rotary(self.w_k(x).view(B, L, self.num_heads, -1).transpose(1, 2), positions, self.base)
        v = self.w_v(x).view(B, L, self.num_heads, -1).transpose(1, 2)
        scores = q @ k.mT / self.head_dim**0.5
        if mask is not None:
            scores = scores.masked_fill(mask, float("-inf"))
        weights = torch.nan_to_num(scores.softmax(-1))
        return self.w_o((weights @ v).transpose(1, 2).reshape(B, L, E))
