"""A 2 x 2 matrix for each position and pair, by einsum; scores by einsum too, hidden ones at finfo.min."""

from __future__ import annotations

import torch
from torch import nn


def rotary_frequencies(head_dim, base=10000.0):
    if head_dim not in range(2, 10**9, 2):
        raise ValueError(f"head_dim={head_dim}")
    exponents = torch.linspace(0, head_dim - 2, head_dim // 2, dtype=torch.float64) / head_dim
    return torch.pow(torch.tensor(base, dtype=torch.float64), -exponents)


def apply_rotary(x, positions, base=10000.0, layout="interleaved", rotary_dim=None):
    width = x.size(-1) if rotary_dim is None else rotary_dim
    if width not in range(2, x.size(-1) + 1, 2):
        raise ValueError(f"rotary_dim={width} for {x.size(-1)} features")
    if layout == "interleaved":
        first, second = torch.arange(0, width, 2), torch.arange(1, width, 2)
    elif layout == "half":
        first, second = torch.arange(width // 2), torch.arange(width // 2, width)
    else:
        raise ValueError(f"layout={layout}")
    angle = positions.double().unsqueeze(-1) * rotary_frequencies(width, base)
    cos, sin = torch.cos(angle), torch.sin(angle)
    matrices = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)  # (..., L, pairs, 2, 2)
    wide = x.double()
    pairs = torch.stack([wide[..., first], wide[..., second]], -1)
    turned = torch.einsum("...ij,...j->...i", matrices, pairs).to(x.dtype)
    result = x.clone()
    result[..., first] = turned[..., 0]
    result[..., second] = turned[..., 1]
    return result


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
        if positions.ndim == 1:
            positions = positions.expand(B, L)
        every = positions[:, None].expand(B, H, L)
        q, k, v = (torch.einsum("ble,fe->blf", x, w.weight).add(w.bias).view(B, L, H, D).permute(0, 2, 1, 3) for w in (self.w_q, self.w_k, self.w_v))
        q, k = apply_rotary(q, every, self.base), apply_rotary(k, every, self.base)
        scores = torch.einsum("bhid,bhjd->bhij", q, k) * D**-0.5
        hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else mask.expand(scores.shape)
        weights = torch.where(hidden, torch.finfo(scores.dtype).min, scores).softmax(-1)
        weights = torch.where(hidden, 0.0, weights)
        return self.w_o(torch.einsum("bhij,bhjd->bihd", weights, v).reshape(B, L, E))
