"""Each vector turned on its own by torch.vmap, as small matrices."""

from __future__ import annotations

import math

import torch
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim must be even and at least 2, got {head_dim}")
    index = torch.arange(head_dim // 2, dtype=torch.float64)
    return base ** (-2.0 * index / head_dim)


def _check(x, layout, rotary_dim):
    width = x.size(-1)
    n = width if rotary_dim is None else rotary_dim
    if layout not in ("interleaved", "half"):
        raise ValueError(f"unknown layout={layout!r}")
    if n % 2 == 1 or not 2 <= n <= width:
        raise ValueError(f"rotary_dim={n} must be even and in [2, {width}]")
    return n


def _one(row, position, freq, layout):
    t = position * freq
    n = 2 * freq.numel()
    pairs = row.view(-1, 2) if layout == "interleaved" else row.view(2, -1).T
    c, s = t.cos(), t.sin()
    rot = torch.stack((torch.stack((c, -s), -1), torch.stack((s, c), -1)), -2)
    y = torch.einsum("pij,pj->pi", rot, pairs)
    return y.reshape(n) if layout == "interleaved" else y.T.reshape(n)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    n = _check(x, layout, rotary_dim)
    w = torch.promote_types(x.dtype, torch.float32)
    rows = x[..., :n].to(w).reshape(-1, n)
    p = positions.expand(x.shape[:-1]).reshape(-1).to(w)
    freq = rotary_frequencies(n, base).to(w)
    y = torch.vmap(lambda r, q: _one(r, q, freq, layout))(rows, p)
    return torch.cat((y.view(*x.shape[:-1], n).to(x.dtype), x[..., n:]), -1)


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
