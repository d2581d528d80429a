"""The way of model code: cosines and sines over the whole width and `rotate_half`; interleaved features are sorted into halves first.

Cosines and sines are rounded to the dtype of x before they multiply.
"""

from __future__ import annotations

import math

import torch
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim < 2 or head_dim % 2 == 1:
        raise ValueError(f"head_dim is {head_dim}")
    return torch.exp(torch.arange(0, head_dim, 2).double() * (-math.log(base) / head_dim))


def rotate_half(x):
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    dim = x.shape[-1] if rotary_dim is None else rotary_dim
    if dim % 2 != 0 or dim < 2 or dim > x.shape[-1]:
        raise ValueError(f"rotary_dim is {dim}")
    if layout not in {"interleaved", "half"}:
        raise ValueError(f"layout is {layout!r}")
    freqs = positions[..., None].double() * rotary_frequencies(dim, base)
    emb = torch.cat((freqs, freqs), dim=-1)
    cos, sin = emb.cos().to(x.dtype), emb.sin().to(x.dtype)
    x_rot, x_pass = x[..., :dim], x[..., dim:]
    if layout == "interleaved":
        x_rot = torch.cat((x_rot[..., ::2], x_rot[..., 1::2]), dim=-1)
    out = x_rot * cos + rotate_half(x_rot) * sin
    if layout == "interleaved":
        out = torch.stack(out.chunk(2, dim=-1), dim=-1).reshape(out.shape)
    return torch.cat((out, x_pass), dim=-1)


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
        batch, length, _ = x.shape
        positions = torch.arange(length) if positions is None else positions
        positions = positions[:, None, :] if positions.ndim == 2 else positions
        shape = (batch, length, self.num_heads, self.head_dim)
        q, k, v = (w(x).reshape(shape).transpose(1, 2) for w in (self.w_q, self.w_k, self.w_v))
        q, k = apply_rotary(q, positions, self.base), apply_rotary(k, positions, self.base)
        scores = q.matmul(k.transpose(2, 3)) / math.sqrt(self.head_dim)
        if mask is not None:
            scores = scores + torch.zeros_like(mask, dtype=scores.dtype).masked_fill(mask, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1)
        if mask is not None:
            weights = weights * (~mask.all(-1, keepdim=True)).to(weights.dtype)
        return self.w_o(weights.matmul(v).transpose(1, 2).flatten(2))
