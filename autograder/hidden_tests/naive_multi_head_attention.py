"""Multi-head attention one head at a time, on top of the loops of `naive.attention`: what the hidden tests of 03 compare with.

A state is a dictionary of weights by name, as `state_dict()` gives it; without biases it has only the four matrices.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from autograder.hidden_tests import naive

State = Mapping[str, Tensor]


def multi_head_attention(
    state: State, num_heads: int, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Output (B, L, E) and weights (B, H, L, S) in float64. The mask broadcasts to (B, H, L, S); 2-D is (L, S)."""
    q, k, v = (_heads(_project(state, name, x), num_heads) for name, x in (("w_q", query), ("w_k", key), ("w_v", value)))
    heads, weights = naive.attention(q, k, v, mask)
    return _project(state, "w_o", _concatenate(heads)), weights


def output_of_weights(state: State, num_heads: int, weights: Tensor, value: Tensor) -> Tensor:
    """The output that goes with these attention weights (B, H, L, S), whatever they are."""
    v = _heads(_project(state, "w_v", value), num_heads)
    return _project(state, "w_o", _concatenate(weights.detach().double() @ v))


def gradients(
    state: State,
    num_heads: int,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    grad_output: Tensor | None = None,
    grad_weights: Tensor | None = None,
) -> dict[str, Tensor]:
    """Gradients of "query", "key", "value" and each entry of the state, for the cotangents of the two results."""
    q, k, v = (_heads(_project(state, name, x), num_heads) for name, x in (("w_q", query), ("w_k", key), ("w_v", value)))
    heads, _ = naive.attention(q, k, v, mask)
    concatenated = _concatenate(heads)
    grad_output = torch.zeros_like(concatenated) if grad_output is None else grad_output.double()
    grad_heads = _heads(grad_output @ state["w_o.weight"].double(), num_heads)
    grad_q, grad_k, grad_v = naive.attention_gradients(q, k, v, mask, grad_output=grad_heads, grad_weights=grad_weights)
    result: dict[str, Tensor] = {}
    for name, given, grad in (("w_q", query, grad_q), ("w_k", key, grad_k), ("w_v", value, grad_v)):
        _add_gradients_of_projection(result, state, name, given, _concatenate(grad))
    result["query"], result["key"], result["value"] = (result.pop(f"{name} input") for name in ("w_q", "w_k", "w_v"))
    _add_gradients_of_projection(result, state, "w_o", concatenated, grad_output)
    del result["w_o input"]
    return result


def _project(state: State, name: str, x: Tensor) -> Tensor:
    projected = x.detach().double() @ state[f"{name}.weight"].double().T
    return projected + state[f"{name}.bias"].double() if f"{name}.bias" in state else projected


def _add_gradients_of_projection(result: dict[str, Tensor], state: State, name: str, x: Tensor, grad: Tensor) -> None:
    result[f"{name} input"] = grad @ state[f"{name}.weight"].double()
    result[f"{name}.weight"] = sum((g.T @ rows for g, rows in zip(grad, x.detach().double(), strict=True)), torch.zeros(()))
    if f"{name}.bias" in state:
        result[f"{name}.bias"] = grad.sum(dim=(0, 1))


def _heads(projected: Tensor, num_heads: int) -> Tensor:
    """(B, L, E) -> (B, H, L, D): head h is columns h * D ... (h + 1) * D - 1."""
    width = projected.size(-1) // num_heads
    return torch.stack([projected[:, :, h * width : (h + 1) * width] for h in range(num_heads)], dim=1)


def _concatenate(heads: Tensor) -> Tensor:
    """(B, H, L, D) -> (B, L, E): the heads side by side, in order."""
    return torch.cat([heads[:, h] for h in range(heads.size(1))], dim=-1)
