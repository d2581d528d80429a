"""The module never turns anything: it works out each score from the distance of its two positions."""

from __future__ import annotations

import torch
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim < 2 or head_dim % 2 != 0:
        raise ValueError(f"cannot pair {head_dim} features")
    return base ** torch.arange(0, -head_dim, -2, dtype=torch.float64).div(head_dim)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    width = x.size(-1)
    if rotary_dim is None:
        rotary_dim = width
    elif rotary_dim > width:
        raise ValueError(f"cannot turn {rotary_dim} features of {width}")
    frequencies = rotary_frequencies(rotary_dim, base)
    pairs = torch.arange(rotary_dim)
    if layout == "interleaved":
        pairs = pairs.view(-1, 2).T
    elif layout == "half":
        pairs = pairs.view(2, -1)
    else:
        raise ValueError(f"cannot lay features out as {layout!r}")
    a, b = x[..., pairs[0]].double(), x[..., pairs[1]].double()
    radius, angle = torch.hypot(a, b), torch.atan2(b, a)
    if x.requires_grad:  # the polar form has no gradient at 0
        turn = positions.unsqueeze(-1) * frequencies
        front = torch.cat((a * turn.cos() - b * turn.sin(), a * turn.sin() + b * turn.cos()), -1)
    else:
        angle = angle + positions.unsqueeze(-1) * frequencies
        front = torch.cat((radius * angle.cos(), radius * angle.sin()), -1)
    order = pairs.flatten().argsort()
    return torch.cat((front[..., order].to(x.dtype), x[..., rotary_dim:]), -1)


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
        positions = torch.arange(L).expand(1, L) if positions is None else positions.reshape(-1, L)
        distance = positions[:, :, None] - positions[:, None, :]  # (B or 1, L, L)
        angle = (distance[..., None] * rotary_frequencies(D, self.base)).unsqueeze(1)  # (B or 1, 1, L, L, D / 2)
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        q, k, v = (w(x).to(wide).view(B, L, H, D).transpose(1, 2) for w in (self.w_q, self.w_k, self.w_v))
        (qa, qb), (ka, kb) = ((t[..., 0::2], t[..., 1::2]) for t in (q, k))
        along = qa[:, :, :, None] * ka[:, :, None] + qb[:, :, :, None] * kb[:, :, None]  # (B, H, L, L, D / 2)
        across = qa[:, :, :, None] * kb[:, :, None] - qb[:, :, :, None] * ka[:, :, None]
        scores = (along * angle.cos() + across * angle.sin()).sum(-1).to(wide) / D**0.5
        if mask is not None:
            scores = scores.masked_fill(mask, -torch.inf)
        powers = (scores - scores.amax(-1, keepdim=True).detach().clamp_min(-1e30)).exp()
        total = powers.sum(-1, keepdim=True)
        heads = powers @ v / torch.where(total == 0, 1.0, total)
        return self.w_o(heads.transpose(1, 2).reshape(B, L, E).to(x.dtype))
