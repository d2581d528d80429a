"""Weights as exp(score - logsumexp), which is -inf - -inf for a query without keys unless it is replaced first."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def padding_mask(token_ids: Tensor, pad_id: int) -> Tensor:
    if token_ids.dim() != 2 or token_ids.is_floating_point() or token_ids.is_complex():
        raise ValueError(f"token_ids: {token_ids.dtype} of shape {tuple(token_ids.shape)}; 2-D integers expected")
    return ~torch.ne(token_ids, pad_id)


def causal_mask(query_length: int, key_length: int | None = None) -> Tensor:
    keys = query_length if key_length is None else key_length
    if query_length < 1 or keys < 1:
        raise ValueError(f"lengths below 1: {query_length}, {keys}")
    distance = torch.arange(keys)[None, :] - torch.arange(keys - query_length, keys)[:, None]
    return distance > 0


def combine_masks(padding: Tensor | None = None, causal: Tensor | None = None) -> Tensor | None:
    masks = []
    for mask, spread in ((padding, lambda m: m[:, None, None, :]), (causal, lambda m: m[None, None, :, :])):
        if mask is None:
            continue
        if mask.dtype != torch.bool or mask.dim() != 2:
            raise ValueError(f"a mask is {mask.dtype} of shape {tuple(mask.shape)}; 2-D bool expected")
        masks.append(spread(mask))
    if len({mask.size(-1) for mask in masks}) > 1:
        raise ValueError(f"masks of {[mask.size(-1) for mask in masks]} keys")
    if not masks:
        return None
    return masks[0] if len(masks) == 1 else masks[0].logical_or(masks[1])


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    if min(x.dim() for x in (query, key, value)) < 2:
        raise ValueError("query, key and value must be at least 2-D")
    if query.shape[:-2] != key.shape[:-2] or key.shape[:-1] != value.shape[:-1] or query.shape[-1] != key.shape[-1]:
        raise ValueError(f"query {query.shape}, key {key.shape} and value {value.shape} do not fit together")
    scores = (query * (1 / math.sqrt(query.shape[-1]))).matmul(key.mT)
    if mask is not None:
        if mask.dtype != torch.bool:
            raise ValueError(f"mask is {mask.dtype}")
        if mask.dim() > scores.dim() or any(m not in (1, s) for m, s in zip(reversed(mask.shape), reversed(scores.shape), strict=False)):
            raise ValueError(f"mask {mask.shape} does not broadcast to {scores.shape}")
        scores = scores.masked_fill(mask, -math.inf)
    normaliser = torch.logsumexp(scores, dim=-1, keepdim=True)
    if mask is not None:
        normaliser = normaliser.masked_fill(mask.all(-1, keepdim=True), 0.0)
    weights = torch.exp(scores - normaliser)
    return weights.matmul(value), weights
