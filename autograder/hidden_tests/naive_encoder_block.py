"""The encoder block written out sequence by sequence and head by head in float64: what the hidden tests of 04 compare with.

Gradients follow by autograd. A state is a dictionary of weights by name, as `state_dict()` gives it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

State = Mapping[str, Tensor]
Layer = Callable[[Tensor], Tensor]


def layer_norm(state: State, x: Tensor, eps: float = 1e-5) -> Tensor:
    features = x.size(-1)
    mean = x.double().sum(dim=-1, keepdim=True) / features
    variance = ((x.double() - mean) ** 2).sum(dim=-1, keepdim=True) / features
    return (x.double() - mean) / torch.sqrt(variance + eps) * state["weight"].double() + state["bias"].double()


def feed_forward(state: State, x: Tensor, activation: str = "relu") -> Tensor:
    hidden = x.double() @ state["linear1.weight"].double().T + state["linear1.bias"].double()
    hidden = torch.where(hidden > 0, hidden, 0.0) if activation == "relu" else hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
    return hidden @ state["linear2.weight"].double().T + state["linear2.bias"].double()


def self_attention(state: State, num_heads: int, x: Tensor, padding: Tensor | None = None) -> Tensor:
    """(B, L, E): attention of every position to those that are not padding; the bias of the output projection where there are none."""
    width = x.size(-1)
    size = width // num_heads
    weight, bias = state["in_proj_weight"].double(), state["in_proj_bias"].double()
    projected = x.double() @ weight.T + bias  # queries, keys and values side by side
    sequences = []
    for b in range(x.size(0)):
        visible = torch.ones(x.size(1), dtype=torch.bool) if padding is None else ~padding[b]
        heads = []
        for h in range(num_heads):
            query, key, value = (projected[b, :, part * width + h * size : part * width + (h + 1) * size] for part in range(3))
            if visible.any():
                heads.append(torch.softmax(query @ key[visible].T / math.sqrt(size), dim=-1) @ value[visible])
            else:
                heads.append(torch.zeros_like(query))
        sequences.append(torch.cat(heads, dim=-1))
    return torch.stack(sequences) @ state["out_proj.weight"].double().T + state["out_proj.bias"].double()


def encoder_block(x: Tensor, attend: Layer, feed: Layer, norm1: Layer, norm2: Layer, norm_first: bool) -> Tensor:
    if norm_first:
        x = x + attend(norm1(x))
        return x + feed(norm2(x))
    x = norm1(x + attend(x))
    return norm2(x + feed(x))


def part(state: State, name: str) -> dict[str, Tensor]:
    """The entries of one layer, by their names inside it."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
