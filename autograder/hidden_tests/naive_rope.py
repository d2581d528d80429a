"""Rotary embedding as loops over Python floats, and attention with it one head at a time: what hidden tests compare with.

A state is a dictionary of weights by name, as `state_dict()` gives it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

State = Mapping[str, Tensor]


def frequencies(head_dim: int, base: float = 10000.0) -> Tensor:
    return torch.tensor([_frequency(i, head_dim, base) for i in range(head_dim // 2)], dtype=torch.float64)


def turned(x: Tensor, positions: Tensor, base: float = 10000.0, layout: str = "interleaved", rotary_dim: int | None = None) -> Tensor:
    """x after its rotation, float64, vector by vector; `positions` broadcasts to x.shape[:-1]."""
    width = x.size(-1) if rotary_dim is None else rotary_dim
    vectors = x.detach().double().reshape(-1, x.size(-1)).tolist()
    places = positions.expand(x.shape[:-1]).reshape(-1).tolist()
    rows = [_turned(vector, place, base, layout, width) for vector, place in zip(vectors, places, strict=True)]
    return torch.tensor(rows, dtype=torch.float64).reshape(x.shape)


def _turned(vector: list[float], position: int, base: float, layout: str, width: int) -> list[float]:
    result = list(vector)
    for i in range(width // 2):
        first, second = (2 * i, 2 * i + 1) if layout == "interleaved" else (i, i + width // 2)
        angle = position * _frequency(i, width, base)
        result[first] = vector[first] * math.cos(angle) - vector[second] * math.sin(angle)
        result[second] = vector[first] * math.sin(angle) + vector[second] * math.cos(angle)
    return result


def _frequency(i: int, width: int, base: float) -> float:
    return math.pow(base, -2 * i / width)


def attention(state: State, num_heads: int, x: Tensor, turns: Tensor, mask: Tensor | None = None) -> Tensor:
    """Multi-head self-attention (B, L, E), differentiable. `turns` (B or 1, L, D, D) has the matrix that turns a query or key at each position."""
    (batch, length, _), head_dim = x.shape, x.size(-1) // num_heads
    hidden = torch.zeros(batch, num_heads, length, length, dtype=torch.bool)
    hidden = hidden if mask is None else hidden | mask
    heads = []
    for h in range(num_heads):
        columns = slice(h * head_dim, (h + 1) * head_dim)
        query, key, value = (x @ state[f"{name}.weight"][columns].T + state[f"{name}.bias"][columns] for name in ("w_q", "w_k", "w_v"))
        query, key = ((turns @ row.unsqueeze(-1)).squeeze(-1) for row in (query, key))
        heads.append(_weights(query @ key.mT / math.sqrt(head_dim), hidden[:, h]) @ value)
    return torch.cat(heads, dim=-1) @ state["w_o.weight"].T + state["w_o.bias"]


def _weights(scores: Tensor, hidden: Tensor) -> Tensor:
    """Softmax over the visible keys; zeros where there are none."""
    scores = scores.masked_fill(hidden, -math.inf)
    largest = scores.detach().amax(dim=-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).min)
    powers = (scores - largest).exp()
    return powers / powers.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
