"""A class for the rotation, another for one head; frequencies in a plain attribute that conversions do not touch; online softmax."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


def rotary_frequencies(head_dim: int, base: float = 10000.0) -> Tensor:
    if head_dim <= 0 or head_dim % 2 == 1:
        raise ValueError(f"head_dim has to be a positive even number; {head_dim} is not")
    steps = [1.0]
    for _ in range(head_dim // 2 - 1):
        steps.append(steps[-1] * base ** (-2.0 / head_dim))
    return torch.tensor(steps, dtype=torch.float64)


@dataclass(frozen=True)
class Rotation:
    frequencies: Tensor
    neighbours: bool

    def angles(self, positions: Tensor) -> Tensor:
        return torch.mul(positions.unsqueeze(-1), self.frequencies)

    def __call__(self, x: Tensor, positions: Tensor) -> Tensor:
        angles = self.angles(positions)
        pairs = x.view(*x.shape[:-1], -1, 2) if self.neighbours else x.view(*x.shape[:-1], 2, -1).mT
        crossed = torch.stack((-pairs[..., 1], pairs[..., 0]), dim=-1)
        turned = torch.addcmul(pairs * angles.cos().unsqueeze(-1), crossed, angles.sin().unsqueeze(-1))
        return (turned if self.neighbours else turned.mT).flatten(-2)


def apply_rotary(x: Tensor, positions: Tensor, base: float = 10000.0, layout: str = "interleaved", rotary_dim: int | None = None) -> Tensor:
    if rotary_dim is None:
        rotary_dim = x.shape[-1]
    if rotary_dim > x.shape[-1]:
        raise ValueError(f"there are only {x.shape[-1]} features, {rotary_dim} cannot turn")
    rotation = Rotation(rotary_frequencies(rotary_dim, base), {"interleaved": True, "half": False}.get(layout))
    if rotation.neighbours is None:
        raise ValueError(f"a layout called {layout!r} is not known")
    front = rotation(x[..., :rotary_dim].double().contiguous(), positions)
    return torch.cat((front.to(x.dtype), x[..., rotary_dim:]), dim=-1)


class Head:
    """One head of one batch, keys one after the other with a running maximum."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor) -> Tensor:
        top = torch.full_like(query[..., :1], -1e5)
        total, mixed = torch.zeros_like(top), torch.zeros_like(query)
        for j in range(key.shape[-2]):
            score = (query * key[..., j : j + 1, :]).sum(-1, keepdim=True) * self.scale
            score = score.masked_fill(hidden[..., j : j + 1], -torch.inf)
            new_top = torch.maximum(top, score.detach())
            power, shrink = (score - new_top).exp(), (top - new_top).exp()
            total, mixed, top = total * shrink + power, mixed * shrink + power * value[..., j : j + 1, :], new_top
        return mixed / torch.where(total > 0, total, 1.0)


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
        self.rotation = Rotation(rotary_frequencies(self.head_dim, base), neighbours=True)
        self.head = Head(self.head_dim**-0.5)

    def forward(self, x: Tensor, positions: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        batch, length, _ = x.shape
        positions = torch.arange(length).expand(batch, length) if positions is None else positions.expand(batch, length)
        hidden = torch.zeros(1, dtype=torch.bool) if mask is None else mask
        hidden = hidden.expand(batch, self.num_heads, length, length)
        heads = []
        for h in range(self.num_heads):
            own = slice(h * self.head_dim, (h + 1) * self.head_dim)
            query, key, value = (layer(x)[..., own] for layer in (self.w_q, self.w_k, self.w_v))
            query, key = (self.rotation(t.contiguous(), positions).to(x.dtype) for t in (query, key))
            heads.append(self.head(query, key, value, hidden[:, h]))
        return self.w_o(torch.cat(heads, dim=-1))
