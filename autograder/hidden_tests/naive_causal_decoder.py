"""The decoder block written out head by head in float64: what the hidden tests of 05 compare with, in values and, by autograd, in gradients.

A state is a dictionary of weights by name, as `state_dict()` gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Masks:
    """Which positions are padding, True = hidden: (B, L) of x and (B, S) of the memory."""

    padding: Tensor | None = None
    memory_padding: Tensor | None = None


NO_MASKS = Masks()


def decoder_block(
    state: State,
    num_heads: int,
    x: Tensor,
    memory: Tensor | None = None,
    masks: Masks = NO_MASKS,
    *,
    activation: str = "relu",
    norm_first: bool = False,
) -> Tensor:
    """What the block makes of x, in float64; with a memory it has cross-attention."""
    x = x.double()

    def attend_to_past(query: Tensor) -> Tensor:
        return attention(part(state, "self_attention"), num_heads, query, query, masks.padding, causal=True)

    def attend_to_memory(query: Tensor) -> Tensor:
        assert memory is not None
        return attention(part(state, "cross_attention"), num_heads, query, memory.double(), masks.memory_padding)

    def feed(given: Tensor) -> Tensor:
        return feed_forward(state, given, activation)

    steps = [("norm1", attend_to_past), ("norm2", attend_to_memory), ("norm3", feed)]
    for name, sub_layer in steps:
        if name == "norm2" and memory is None:
            continue
        norm = part(state, name)
        x = x + sub_layer(layer_norm(norm, x)) if norm_first else layer_norm(norm, x + sub_layer(x))
    return x


def attention(state: State, num_heads: int, query: Tensor, source: Tensor, hidden_keys: Tensor | None, *, causal: bool = False) -> Tensor:
    """Multi-head attention of query (B, L, E) to source (B, S, E), one sequence and head at a time; a row without keys gets the output bias."""
    (batch, length, width), keys = query.shape, source.size(1)
    size = width // num_heads
    weight, bias = state["in_proj_weight"].double(), state["in_proj_bias"].double()
    q, k, v = (given @ weight[i * width : (i + 1) * width].T + bias[i * width : (i + 1) * width] for i, given in enumerate((query, source, source)))
    future = torch.tensor([[causal and j > i for j in range(keys)] for i in range(length)])
    sequences = []
    for b in range(batch):
        hidden = future if hidden_keys is None else future | hidden_keys[b]
        columns = [slice(h * size, (h + 1) * size) for h in range(num_heads)]
        heads = [weights_of(q[b][:, c] @ k[b][:, c].T / size**0.5, hidden) @ v[b][:, c] for c in columns]
        sequences.append(torch.cat(heads, dim=-1))
    return torch.stack(sequences) @ state["out_proj.weight"].double().T + state["out_proj.bias"].double()


def weights_of(scores: Tensor, hidden: Tensor) -> Tensor:
    """softmax of the visible scores of each row; zeros where none is visible."""
    visible = ~hidden
    largest = scores.detach().masked_fill(hidden, -torch.inf).amax(dim=-1, keepdim=True)
    powers = torch.exp(torch.where(visible, scores - torch.where(largest.isfinite(), largest, 0.0), 0.0)) * visible
    total = powers.sum(dim=-1, keepdim=True)
    return powers / torch.where(visible.any(dim=-1, keepdim=True), total, 1.0)


def feed_forward(state: State, x: Tensor, activation: str = "relu") -> Tensor:
    return linear(part(state, "linear2"), hidden_units(state, x, activation))


def hidden_units(state: State, x: Tensor, activation: str = "relu") -> Tensor:
    hidden = linear(part(state, "linear1"), x)
    return hidden * (hidden > 0) if activation == "relu" else hidden * (1 + torch.erf(hidden / 2**0.5)) / 2


def layer_norm(state: State, x: Tensor) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = (centred**2).mean(dim=-1, keepdim=True)
    return centred / (variance + 1e-5) ** 0.5 * state["weight"].double() + state["bias"].double()


def linear(state: State, x: Tensor) -> Tensor:
    return x @ state["weight"].double().T + state["bias"].double()


def part(state: State, name: str) -> State:
    """The entries of one layer, by their names inside it."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
