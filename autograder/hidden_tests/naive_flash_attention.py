"""Attention without tiles, as loops over Python floats: what the hidden tests of 09 compare with.

Scores are scale * (q . k); causal hides key j from query i when j > i + S - L. Everything is computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Rows = list[list[float]]


class Attention(NamedTuple):
    """output (..., L, Dv) and logsumexp (..., L), which is -inf for a query that sees no key; its output is 0."""

    output: Tensor
    logsumexp: Tensor


class Gradients(NamedTuple):
    """Gradients of the three inputs, each in its input's shape."""

    query: Tensor
    key: Tensor
    value: Tensor


def attention(inputs: Sequence[Tensor], causal: bool = False, scale: float | None = None) -> Attention:
    """The two results of the forward pass for (query, key, value); scale None is 1 / sqrt(D)."""
    query, key, value = inputs
    outputs: list[Rows] = []
    sums: Rows = []
    for q, k, v in zip(_matrices(query), _matrices(key), _matrices(value), strict=True):
        scores = _scores(q, k, causal, scale)
        sums.append([_logsumexp(row) for row in scores])
        weights = [_weights(row, total) for row, total in zip(scores, sums[-1], strict=True)]
        columns = list(zip(*v, strict=True))
        outputs.append([[_dot(row, column) for column in columns] for row in weights])
    lead, L = query.shape[:-2], query.size(-2)
    return Attention(_tensor(outputs, (*lead, L, value.size(-1))), _tensor(sums, (*lead, L)))


def gradients(grad_output: Tensor, inputs: Sequence[Tensor], causal: bool = False, scale: float | None = None) -> Gradients:
    """Gradients of (query, key, value) for a cotangent of the output, written out by hand."""
    query, key, value = inputs
    factor = 1 / math.sqrt(query.size(-1)) if scale is None else scale
    found: tuple[list[Rows], list[Rows], list[Rows]] = ([], [], [])
    for q, k, v, given in zip(*map(_matrices, (query, key, value, grad_output)), strict=True):
        weights = [_weights(row, _logsumexp(row)) for row in _scores(q, k, causal, scale)]
        grad_scores = []
        for row, cotangent in zip(weights, given, strict=True):
            wanted = [_dot(cotangent, one) for one in v]
            average = _dot(row, wanted)
            grad_scores.append([weight * (one - average) * factor for weight, one in zip(row, wanted, strict=True)])
        found[0].append([[_dot(row, column) for column in zip(*k, strict=True)] for row in grad_scores])
        found[1].append([[_dot(row, column) for column in zip(*q, strict=True)] for row in zip(*grad_scores, strict=True)])
        found[2].append([[_dot(row, column) for column in zip(*given, strict=True)] for row in zip(*weights, strict=True)])
    return Gradients(*(_tensor(rows, tuple(x.shape)) for rows, x in zip(found, (query, key, value), strict=True)))


def _scores(query: Rows, key: Rows, causal: bool, scale: float | None) -> Rows:
    """Scaled scores, -inf where the key is hidden."""
    factor = 1 / math.sqrt(len(query[0])) if scale is None else scale
    offset = len(key) - len(query)
    return [[-math.inf if causal and j > i + offset else factor * _dot(row, column) for j, column in enumerate(key)] for i, row in enumerate(query)]


def _logsumexp(scores: list[float]) -> float:
    highest = max(scores)
    if highest == -math.inf:
        return highest
    return highest + math.log(sum(math.exp(score - highest) for score in scores))


def _weights(scores: list[float], logsumexp: float) -> list[float]:
    if logsumexp == -math.inf:
        return [0.0] * len(scores)
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def _dot(one: tuple[float, ...] | list[float], other: tuple[float, ...] | list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _matrices(tensor: Tensor) -> list[Rows]:
    """All leading dimensions as one list of matrices."""
    matrices: list[Rows] = tensor.detach().double().reshape(-1, *tensor.shape[-2:]).tolist()
    return matrices


def _tensor(values: list[Rows] | Rows, shape: tuple[int, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(shape)
