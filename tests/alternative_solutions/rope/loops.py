"""Loops over pairs, sequences and heads; a list of features is put together at the end."""

from __future__ import annotations

import math

import torch
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim < 2 or head_dim % 2 != 0:
        raise ValueError(f"head_dim must be a positive even number, got {head_dim}")
    return torch.tensor([base ** (-2 * i / head_dim) for i in range(head_dim // 2)], dtype=torch.float64)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    D = x.shape[-1]
    if rotary_dim is None:
        rotary_dim = D
    if rotary_dim < 2 or rotary_dim > D or rotary_dim % 2 != 0:
        raise ValueError(f"rotary_dim must be even and between 2 and {D}, got {rotary_dim}")
    if layout != "interleaved" and layout != "half":
        raise ValueError(f"layout must be interleaved or half, got {layout}")
    frequencies = rotary_frequencies(rotary_dim, base).tolist()
    features = list(x.unbind(-1))
    for i in range(rotary_dim // 2):
        first = 2 * i if layout == "interleaved" else i
        second = 2 * i + 1 if layout == "interleaved" else i + rotary_dim // 2
        angle = positions.to(torch.float64) * frequencies[i]
        a, b = features[first], features[second]
        features[first] = (a * torch.cos(angle) - b * torch.sin(angle)).to(x.dtype)
        features[second] = (a * torch.sin(angle) + b * torch.cos(angle)).to(x.dtype)
    return torch.stack(features, dim=-1)


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
        B, L, _ = x.shape
        if positions is None:
            positions = torch.arange(L)
        if mask is None:
            mask = torch.zeros(L, L, dtype=torch.bool)
        mask = mask.expand(B, self.num_heads, L, L)
        results = []
        for b in range(B):
            q, k, v = self.w_q(x[b]), self.w_k(x[b]), self.w_v(x[b])
            places = positions[b] if positions.dim() == 2 else positions
            heads = []
            for h in range(self.num_heads):
                columns = slice(h * self.head_dim, (h + 1) * self.head_dim)
                turned_q = apply_rotary(q[:, columns], places, base=self.base)
                turned_k = apply_rotary(k[:, columns], places, base=self.base)
                scores = turned_q @ turned_k.T / math.sqrt(self.head_dim)
                nothing = mask[b, h].all(dim=1, keepdim=True)
                weights = scores.masked_fill(mask[b, h] & ~nothing, -math.inf).softmax(dim=1)
                heads.append(weights.masked_fill(nothing, 0.0) @ v[:, columns])
            results.append(torch.cat(heads, dim=1))
        return self.w_o(torch.stack(results))
