"""Scaled dot-product attention and its masks (Vaswani et al. 2017, section 3.2.1).

Letters in shapes: B batch, H heads, L queries, S keys, D features of a query or key, Dv features of a value.
Masks are bool and True means hidden: must not be attended to.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def padding_mask(token_ids: Int[Tensor, "B S"], pad_id: int) -> Bool[Tensor, "B S"]:
    """Mark the padding of a batch of token sequences.

    token_ids: (B, S) integers of any integer dtype. Returns (B, S) bool, True exactly where token_ids equals pad_id,
    wherever that is. Raises ValueError when token_ids is not 2-D or not integer.
    """
    ### BEGIN SOLUTION
    if token_ids.dim() != 2:
        raise ValueError(f"token_ids must be 2-D (B, S), got shape {tuple(token_ids.shape)}")
    if token_ids.is_floating_point() or token_ids.is_complex() or token_ids.dtype == torch.bool:
        raise ValueError(f"token_ids must be integers, got {token_ids.dtype}")
    return token_ids == pad_id
    ### END SOLUTION


def causal_mask(query_length: int, key_length: int | None = None) -> Bool[Tensor, "L S"]:
    """Hide the future: True where key j comes after query i.

    The L queries are the last L positions of the S keys, so the mask is aligned bottom-right: key j is hidden from query i
    when j > i + S - L. key_length None means S = L. When L > S the first L - S queries come before every key, and their
    rows are all True. Returns (L, S) bool. Raises ValueError when a length is < 1 (0 is not None).
    """
    ### BEGIN SOLUTION
    if key_length is None:
        key_length = query_length
    if query_length < 1 or key_length < 1:
        raise ValueError(f"lengths must be >= 1, got query_length={query_length}, key_length={key_length}")
    query_position = torch.arange(query_length).unsqueeze(1) + key_length - query_length  # (L, 1)
    key_position = torch.arange(key_length)  # (S,)
    return key_position > query_position  # (L, S)
    ### END SOLUTION


def combine_masks(
    padding: Bool[Tensor, "B S"] | None = None,
    causal: Bool[Tensor, "L S"] | None = None,
) -> Bool[Tensor, "..."] | None:
    """Hide what either mask hides, in a shape that broadcasts to scores of shape (B, H, L, S).

    Both given: (B, 1, L, S). Padding alone: (B, 1, 1, S). Causal alone: (L, S). Neither: None. The inputs are not changed.
    Raises ValueError when a mask is not bool or not 2-D, or when the two differ in S.
    """
    ### BEGIN SOLUTION
    for name, mask in (("padding", padding), ("causal", causal)):
        if mask is None:
            continue
        if mask.dtype != torch.bool:
            raise ValueError(f"{name} must be a bool mask (True = hidden), got {mask.dtype}")
        if mask.dim() != 2:
            raise ValueError(f"{name} must be 2-D, got shape {tuple(mask.shape)}")
    if padding is None:
        return causal if causal is None else causal.clone()
    if causal is None:
        return padding[:, None, None, :].clone()  # (B, 1, 1, S)
    if padding.size(1) != causal.size(1):
        raise ValueError(f"masks differ in keys: padding has {padding.size(1)}, causal has {causal.size(1)}")
    return padding[:, None, None, :] | causal  # (B, 1, L, S)
    ### END SOLUTION


def scaled_dot_product_attention(
    query: Float[Tensor, "*batch L D"],
    key: Float[Tensor, "*batch S D"],
    value: Float[Tensor, "*batch S Dv"],
    mask: Bool[Tensor, "..."] | None = None,
) -> tuple[Float[Tensor, "*batch L Dv"], Float[Tensor, "*batch L S"]]:
    """Attention(Q, K, V) = softmax(Q K^T / sqrt(D)) V, with its weights (Vaswani et al. 2017, eq. 1).

    Any leading dimensions, none too. mask: bool, True = hidden, broadcastable to (..., L, S); a 2-D mask is always (L, S).
    A hidden key has a weight of exactly 0. A query that sees no key has zero weights, a zero output and finite gradients.
    Results have the input's dtype and are differentiable; no input is changed. Scores may reach +-2000 in float32.
    Raises ValueError when the shapes of query, key and value do not fit together, when mask is not bool, or when mask does
    not broadcast to (..., L, S).
    """
    ### BEGIN SOLUTION
    _check_shapes(query, key, value)
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))  # (..., L, S)
    if mask is not None:
        _check_mask(mask, scores.shape)
        scores = scores.masked_fill(mask, -math.inf)
    weights = torch.softmax(scores, dim=-1)  # (..., L, S)
    if mask is not None:
        # softmax over nothing is 0/0; a query that sees no key takes nothing from any.
        weights = weights.masked_fill(mask.all(dim=-1, keepdim=True), 0.0)
    return weights @ value, weights  # (..., L, Dv), (..., L, S)
    ### END SOLUTION


### BEGIN SOLUTION
def _check_shapes(query: Tensor, key: Tensor, value: Tensor) -> None:
    shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
    if min(query.dim(), key.dim(), value.dim()) < 2:
        raise ValueError(f"query, key and value need at least 2 dimensions, got {shapes}")
    if not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        raise ValueError(f"leading dimensions differ: {shapes}")
    if query.size(-1) != key.size(-1):
        raise ValueError(f"query and key must have the same number of features: {shapes}")
    if key.size(-2) != value.size(-2):
        raise ValueError(f"every key needs one value: {shapes}")


def _check_mask(mask: Tensor, scores_shape: torch.Size) -> None:
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be bool (True = hidden), got {mask.dtype}")
    try:
        fits = torch.broadcast_shapes(mask.shape, scores_shape) == scores_shape
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(f"mask of shape {tuple(mask.shape)} does not broadcast to {tuple(scores_shape)}")


### END SOLUTION
