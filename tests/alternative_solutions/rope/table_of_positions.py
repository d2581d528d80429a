"""A table of cosines and sines from the least position to the greatest, kept for the next call with the same arguments."""

from __future__ import annotations

import functools
import math

import torch
from torch import nn


@functools.lru_cache(maxsize=8)
def _table(width, base, first, last):
    angle = torch.outer(torch.arange(first, last + 1, dtype=torch.float64), rotary_frequencies(width, base))
    return torch.stack((angle.cos(), angle.sin()))


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim < 2 or head_dim & 1:
        raise ValueError(f"expected an even head_dim, got {head_dim}")
    return torch.full((head_dim // 2,), float(base), dtype=torch.float64).pow(-torch.arange(0, head_dim, 2).double() / head_dim)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    if layout not in ("interleaved", "half"):
        raise ValueError(f"expected interleaved or half, got {layout}")
    width = x.shape[-1] if rotary_dim is None else rotary_dim
    if not 2 <= width <= x.shape[-1] or width & 1:
        raise ValueError(f"expected an even rotary_dim of at most {x.shape[-1]}, got {width}")
    first, last = int(positions.min()), int(positions.max())
    cos, sin = _table(width, base, first, last)[:, positions - first]
    # The partner of each feature, and the sign with which its sine comes in.
    if layout == "interleaved":
        cos, sin = cos.repeat_interleave(2, -1), sin.repeat_interleave(2, -1)
        partner = torch.arange(width).view(-1, 2).flip(1).flatten()
        sign = torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat(width // 2)
    else:
        cos, sin = torch.cat((cos, cos), -1), torch.cat((sin, sin), -1)
        partner = torch.arange(width).roll(width // 2)
        sign = torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat_interleave(width // 2)
    turned = x[..., :width] * cos + x[..., partner] * (sign * sin)
    return torch.cat((turned.to(x.dtype), x[..., width:]), -1)


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
        if positions is None:
            positions = torch.arange(1, x.size(1) + 1)
        if positions.ndim == 2:
            positions = positions[:, None]
        q, k, v = (layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for layer in (self.w_q, self.w_k, self.w_v))
        q, k = (apply_rotary(t, positions, self.base) for t in (q / math.sqrt(self.head_dim), k))
        scores = q @ k.mT
        hidden = torch.zeros((), dtype=torch.bool) if mask is None else mask
        hidden = hidden.expand(scores.shape)
        log_weights = scores.masked_fill(hidden, -1e4) - scores.masked_fill(hidden, -1e4).logsumexp(-1, keepdim=True)
        return self.w_o((log_weights.exp().masked_fill(hidden, 0.0) @ v).transpose(1, 2).flatten(2))
