"""Attention as slow, obvious loops over Python floats: what hidden tests compare with, and nothing that a student could read."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Rows = list[list[float]]


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """softmax(Q K^T / sqrt(D)) V and the weights, in float64; any leading dimensions; a query that sees no key gets zeros."""
    lead, (L, D), (S, Dv) = query.shape[:-2], query.shape[-2:], value.shape[-2:]
    outputs: list[Rows] = []
    weights: list[Rows] = []
    for q, k, v, hidden in zip(_slices(query), _slices(key), _slices(value), _hidden(mask, (*lead, L, S)), strict=True):
        weights.append([_weights_of(q[i], k, hidden[i], D) for i in range(L)])
        outputs.append([[sum(weights[-1][i][j] * v[j][e] for j in range(S)) for e in range(Dv)] for i in range(L)])
    return _tensor(outputs, (*lead, L, Dv)), _tensor(weights, (*lead, L, S))


def attention_gradients(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    grad_output: Tensor | None = None,
    grad_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query, key and value for the given cotangents of `attention`'s two results, written out by hand."""
    lead, (L, D), (S, Dv) = query.shape[:-2], query.shape[-2:], value.shape[-2:]
    _, weights = attention(query, key, value, mask)
    grad_output = torch.zeros(*lead, L, Dv) if grad_output is None else grad_output
    grad_weights = torch.zeros(*lead, L, S) if grad_weights is None else grad_weights
    grads: tuple[list[Rows], list[Rows], list[Rows]] = ([], [], [])
    for q, k, v, w, go, gw in zip(*map(_slices, (query, key, value, weights, grad_output, grad_weights)), strict=True):
        grad_scores: Rows = []
        for i in range(L):
            wanted = [gw[i][j] + sum(go[i][e] * v[j][e] for e in range(Dv)) for j in range(S)]
            average = sum(w[i][j] * wanted[j] for j in range(S))
            grad_scores.append([w[i][j] * (wanted[j] - average) / math.sqrt(D) for j in range(S)])
        grads[0].append([[sum(grad_scores[i][j] * k[j][d] for j in range(S)) for d in range(D)] for i in range(L)])
        grads[1].append([[sum(grad_scores[i][j] * q[i][d] for i in range(L)) for d in range(D)] for j in range(S)])
        grads[2].append([[sum(w[i][j] * go[i][e] for i in range(L)) for e in range(Dv)] for j in range(S)])
    return _tensor(grads[0], query.shape), _tensor(grads[1], key.shape), _tensor(grads[2], value.shape)


def causal_mask(query_length: int, key_length: int) -> Tensor:
    """True where key j comes after query i, the last query standing at the last key."""
    return torch.tensor([[j > i + key_length - query_length for j in range(key_length)] for i in range(query_length)])


def _weights_of(query: list[float], keys: Rows, hidden: list[bool], D: int) -> list[float]:
    scores = [sum(query[d] * key[d] for d in range(D)) / math.sqrt(D) for key in keys]
    visible = [score for score, is_hidden in zip(scores, hidden, strict=True) if not is_hidden]
    if not visible:
        return [0.0] * len(keys)
    largest = max(visible)
    powers = [0.0 if is_hidden else math.exp(score - largest) for score, is_hidden in zip(scores, hidden, strict=True)]
    total = sum(powers)
    return [power / total for power in powers]


def _slices(tensor: Tensor) -> list[Rows]:
    """All leading dimensions as one list of matrices."""
    matrices: list[Rows] = tensor.detach().double().reshape(-1, *tensor.shape[-2:]).tolist()
    return matrices


def _hidden(mask: Tensor | None, shape: tuple[int, ...]) -> list[list[list[bool]]]:
    everywhere = torch.zeros(shape, dtype=torch.bool) if mask is None else mask.broadcast_to(shape)
    rows: list[list[list[bool]]] = everywhere.reshape(-1, *shape[-2:]).tolist()
    return rows


def _tensor(matrices: list[Rows], shape: tuple[int, ...]) -> Tensor:
    return torch.tensor(matrices, dtype=torch.float64).reshape(shape)
