"""Weights that the hidden tests of 07 load into a submission's modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from autograder.checking.tensors import Tensors


def attention_state(tensors: Tensors, d_model: int, dtype: torch.dtype) -> dict[str, Tensor]:
    state = {}
    for name in ("w_q", "w_k", "w_v", "w_o"):
        state[f"{name}.weight"] = tensors.normal((d_model, d_model), dtype=dtype, scale=d_model**-0.5)
        state[f"{name}.bias"] = tensors.normal((d_model,), dtype=dtype, scale=0.5)
    return state


def model_state(tensors: Tensors, sizes: tuple[int, int, int], num_layers: int, max_len: int, dtype: torch.dtype) -> dict[str, Tensor]:
    vocab_size, d_model, d_ff = sizes
    state = {"embedding.weight": tensors.normal((vocab_size, d_model), dtype=dtype)}
    state["position_embedding.weight"] = tensors.normal((max_len, d_model), dtype=dtype)
    for index in range(num_layers):
        block = f"blocks.{index}."
        state |= {f"{block}attention.{name}": value for name, value in attention_state(tensors, d_model, dtype).items()}
        state |= _norm_state(tensors, f"{block}norm1", d_model, dtype) | _norm_state(tensors, f"{block}norm2", d_model, dtype)
        for name, out_features, in_features in (("linear1", d_ff, d_model), ("linear2", d_model, d_ff)):
            state[f"{block}{name}.weight"] = tensors.normal((out_features, in_features), dtype=dtype, scale=in_features**-0.5)
            state[f"{block}{name}.bias"] = tensors.normal((out_features,), dtype=dtype, scale=0.5)
    return state | _norm_state(tensors, "norm", d_model, dtype)


def spelling_state(state: Mapping[str, Tensor], tokens: Sequence[int]) -> dict[str, Tensor]:
    """Weights of a model in which position p makes `tokens[p]` the likeliest next token, whatever stands there. d_model is vocab_size."""
    embedding = torch.eye(len(state["embedding.weight"]), dtype=torch.float64) - 1 / len(state["embedding.weight"])
    found = {name: torch.zeros_like(value) if "w_o" in name or "linear2" in name else value for name, value in state.items()}
    found |= {"norm.weight": torch.ones_like(state["norm.weight"]), "norm.bias": torch.zeros_like(state["norm.bias"])}
    return found | {"embedding.weight": embedding, "position_embedding.weight": 9 * embedding[list(tokens)]}


def _norm_state(tensors: Tensors, name: str, width: int, dtype: torch.dtype) -> dict[str, Tensor]:
    weight, bias = tensors.normal((width,), (width,), scale=0.3)
    return {f"{name}.weight": (1 + weight).to(dtype), f"{name}.bias": bias.to(dtype)}
