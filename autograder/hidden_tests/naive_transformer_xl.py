"""Transformer-XL one query at a time: each query gathers the keys that it sees and their distances, so that there is neither a shift nor a mask.

What the hidden tests of 10 compare with. A state is a dictionary of weights by name, as `state_dict()` gives it. Everything is
made of torch's own differentiable steps, so that gradients can be compared too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]
Attend = Callable[[int, Tensor, Tensor | None], Tensor]  # layer, x, memory -> what attention makes of them


def distance_rows(distances: Sequence[int], d_model: int) -> Tensor:
    """Encodings of these distances, (len(distances), d_model) float64: sines, then cosines."""
    return torch.tensor([_distance_row(distance, d_model) for distance in distances], dtype=torch.float64)


def _distance_row(distance: int, d_model: int) -> list[float]:
    angles = [distance * math.pow(10000.0, -2 * pair / d_model) for pair in range(d_model // 2)]
    return [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]


def shifted(scores: Tensor) -> tuple[Tensor, Tensor]:
    """What relative_shift is to give, 0 where that is unspecified, and the (L, S) mask of what is unspecified."""
    L, S = scores.shape[-2:]
    expected, unspecified = torch.zeros(scores.shape, dtype=scores.dtype), torch.ones(L, S, dtype=torch.bool)
    for i in range(L):
        for j in range(i + S - L + 1):
            distance = i + S - L - j
            expected[..., i, j] = scores[..., i, S - 1 - distance]
            unspecified[i, j] = False
    return expected, unspecified


def attention(state: State, num_heads: int, x: Tensor, memory: Tensor | None = None, prefix: str = "", encodings: Tensor | None = None) -> Tensor:
    """(B, L, E) in float64; the memory is a constant. `prefix` goes before the names of the weights.

    encodings: other ones for the distances 0, 1, … than the right ones.
    """
    w_q, w_k, w_v, w_r, w_o = (state[f"{prefix}{name}.weight"].double() for name in ("w_q", "w_k", "w_v", "w_r", "w_o"))
    u, v = state[f"{prefix}u"].double(), state[f"{prefix}v"].double()
    x = x.double()
    context = x if memory is None else torch.cat([memory.detach().double(), x], dim=1)
    before, length, d_model = context.size(1) - x.size(1), x.size(1), x.size(2)
    width = d_model // num_heads
    encodings = distance_rows(range(context.size(1)), d_model) if encodings is None else encodings
    projected = encodings @ w_r.T  # row d: distance d
    queries, keys, values = x @ w_q.T, context @ w_k.T, context @ w_v.T
    outputs = []
    for i in range(length):
        heads = []
        for h in range(num_heads):
            own, seen = slice(h * width, (h + 1) * width), range(before + i + 1)
            query = queries[:, i, own]  # (B, D)
            content = keys[:, : len(seen), own] @ (query + u[h]).unsqueeze(-1)  # (B, seen, 1)
            position = projected[[before + i - j for j in seen], own] @ (query + v[h]).unsqueeze(-1)  # (B, seen, 1)
            weights = torch.softmax((content + position) / math.sqrt(width), dim=1)
            heads.append((weights * values[:, : len(seen), own]).sum(dim=1))
        outputs.append(torch.cat(heads, dim=-1) @ w_o.T)
    return torch.stack(outputs, dim=1)


def rest_of_layer(state: State, prefix: str, x: Tensor, attended: Tensor) -> Tensor:
    """What the given TransformerXLLayer does with its input and what attention made of it."""
    x = _norm(state, f"{prefix}norm1", x + attended)
    hidden = F.relu(_linear(state, f"{prefix}linear1", x))
    return _norm(state, f"{prefix}norm2", x + _linear(state, f"{prefix}linear2", hidden))


def model(
    state: State,
    num_heads: int,
    num_layers: int,
    mem_len: int,
    token_ids: Tensor,
    memories: Sequence[Tensor] | None = None,
    attend: Attend | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Logits (B, L, V) and the new memories, in float64. `attend` takes the place of the right attention."""
    embedding = state["embedding.weight"].double()
    x = embedding[token_ids] * math.sqrt(embedding.size(1))
    kept = []
    for index in range(num_layers):
        memory = None if memories is None else memories[index].double()
        seen = x if memory is None else torch.cat([memory, x], dim=1)
        rows = range(seen.size(1))
        kept.append(seen[:, [row for row in rows if row >= len(rows) - mem_len]].detach())
        layer = f"layers.{index}."
        attended = attend(index, x, memory) if attend else attention(state, num_heads, x, memory, f"{layer}attention.")
        x = rest_of_layer(state, layer, x, attended)
    return x @ embedding.T, kept


def _linear(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].double().T + state[f"{name}.bias"].double()


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"].double(), state[f"{name}.bias"].double())
