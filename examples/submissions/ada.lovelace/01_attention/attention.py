"""Scaled dot-product attention and its masks (Vaswani et al. 2017, section 3.2.1)."""

from __future__ import annotations

import torch
from torch import Tensor


def padding_mask(token_ids: Tensor, pad_id: int) -> Tensor:
    if token_ids.ndim != 2:
        raise ValueError(f"expected token_ids of shape (B, S), got {list(token_ids.shape)}")
    if token_ids.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        raise ValueError(f"expected integer token_ids, got {token_ids.dtype}")
    return token_ids.eq(pad_id)


def causal_mask(query_length: int, key_length: int | None = None) -> Tensor:
    keys = query_length if key_length is None else key_length
    for name, length in (("query_length", query_length), ("key_length", keys)):
        if length < 1:
            raise ValueError(f"{name} is {length}, but must be at least 1")
    # The last query is the last key, so the diagonal moves right by S - L.
    return torch.ones(query_length, keys, dtype=torch.bool).triu(diagonal=keys - query_length + 1)


def combine_masks(padding: Tensor | None = None, causal: Tensor | None = None) -> Tensor | None:
    for name, mask in (("padding", padding), ("causal", causal)):
        if mask is not None and (mask.dtype != torch.bool or mask.ndim != 2):
            raise ValueError(f"{name} must be a 2-D bool mask, got {mask.dtype} of shape {list(mask.shape)}")
    if padding is not None and causal is not None and padding.shape[-1] != causal.shape[-1]:
        raise ValueError(f"padding covers {padding.shape[-1]} keys, causal covers {causal.shape[-1]}")
    parts = []
    if padding is not None:
        parts.append(padding[:, None, None, :])  # (B, 1, 1, S)
    if causal is not None:
        parts.append(causal[None, None, :, :])  # (1, 1, L, S)
    if not parts:
        return None
    hidden = parts[0]
    for part in parts[1:]:
        hidden = torch.logical_or(hidden, part)
    return hidden.clone()


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    sizes = f"query {list(query.shape)}, key {list(key.shape)}, value {list(value.shape)}"
    if any(t.ndim < 2 for t in (query, key, value)):
        raise ValueError(f"query, key and value need two dimensions or more: {sizes}")
    if query.shape[:-2] != key.shape[:-2] or key.shape[:-2] != value.shape[:-2]:
        raise ValueError(f"leading dimensions differ: {sizes}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(f"query and key must agree in features, key and value in length: {sizes}")

    scores = torch.einsum("...ld,...sd->...ls", query, key) * query.shape[-1] ** -0.5
    if mask is None:
        weights = scores.softmax(-1)
        return torch.einsum("...ls,...sv->...lv", weights, value), weights

    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be bool, got {mask.dtype}")
    try:
        mask = mask.expand(scores.shape)
    except RuntimeError:
        raise ValueError(f"mask of shape {list(mask.shape)} does not fit scores of shape {list(scores.shape)}") from None
    blind = mask.all(-1, keepdim=True)  # queries that see no key at all
    # An all-hidden row is unmasked for the softmax (so that it stays finite) and zeroed after it.
    weights = scores.masked_fill(mask & ~blind, float("-inf")).softmax(-1)
    weights = torch.where(blind, torch.zeros_like(weights), weights)
    return torch.einsum("...ls,...sv->...lv", weights, value), weights
