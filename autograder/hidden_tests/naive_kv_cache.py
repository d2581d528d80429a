"""Causal attention and the language model of 07 one query at a time and without any cache: each query gathers the keys that it sees.

What the hidden tests of 07 compare with. A state is a dictionary of weights by name, as `state_dict()` gives it. Everything is
made of torch's own differentiable steps in float64, so that gradients can be compared too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]


def attention(state: State, num_heads: int, x: Tensor, stored: tuple[Tensor, Tensor] | None = None, prefix: str = "") -> Tensor:
    """(B, L, E). `prefix` goes before the names of the weights.

    stored: keys and values (B, H, M, D) of earlier positions, which every query sees.
    """
    x = x.double()
    queries, keys, values = (_heads(state, f"{prefix}{name}", num_heads, x) for name in ("w_q", "w_k", "w_v"))  # (B, H, L, D)
    outputs = []
    for i in range(x.size(1)):
        seen_keys, seen_values = keys[:, :, : i + 1], values[:, :, : i + 1]
        if stored is not None:
            seen_keys = torch.cat([stored[0].double(), seen_keys], dim=2)
            seen_values = torch.cat([stored[1].double(), seen_values], dim=2)
        scores = (seen_keys * queries[:, :, i, None]).sum(dim=-1) / math.sqrt(queries.size(-1))  # (B, H, keys seen)
        heads = (torch.softmax(scores, dim=-1)[..., None] * seen_values).sum(dim=2)  # (B, H, D)
        outputs.append(heads.flatten(1))  # one head after the other
    return _linear(state, f"{prefix}w_o", torch.stack(outputs, dim=1))


def keys_and_values(state: State, num_heads: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """What attention stores for x, (B, H, L, D) each."""
    return _heads(state, "w_k", num_heads, x.double()), _heads(state, "w_v", num_heads, x.double())


def logits(state: State, num_heads: int, num_layers: int, token_ids: Tensor) -> Tensor:
    """(B, L, V): pre-norm blocks with the exact GELU, a final norm, and the embedding as the head."""
    embedding = state["embedding.weight"].double()
    x = embedding[token_ids] + state["position_embedding.weight"].double()[: token_ids.size(1)]
    for index in range(num_layers):
        block = f"blocks.{index}."
        x = x + attention(state, num_heads, _norm(state, f"{block}norm1", x), prefix=f"{block}attention.")
        hidden = F.gelu(_linear(state, f"{block}linear1", _norm(state, f"{block}norm2", x)))
        x = x + _linear(state, f"{block}linear2", hidden)
    return _norm(state, "norm", x) @ embedding.T


def _heads(state: State, name: str, num_heads: int, x: Tensor) -> Tensor:
    """Head h is columns h·D … (h + 1)·D − 1 of the projection."""
    return torch.stack(_linear(state, name, x).chunk(num_heads, dim=-1), dim=1)


def _linear(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].double().T + state[f"{name}.bias"].double()


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"].double(), state[f"{name}.bias"].double())
