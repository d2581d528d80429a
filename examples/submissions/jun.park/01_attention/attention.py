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
    if token_ids.dim() != 2:
        raise ValueError(f"token_ids must be 2-D, got {token_ids.dim()}-D")
    try:
        torch.iinfo(token_ids.dtype)
    except TypeError:
        raise ValueError(f"token_ids must be integers, got {token_ids.dtype}") from None
    return token_ids == pad_id


def causal_mask(query_length: int, key_length: int | None = None) -> Bool[Tensor, "L S"]:
    """Hide the future: True where key j comes after query i.

    The L queries are the last L positions of the S keys, so the mask is aligned bottom-right: key j is hidden from query i
    when j > i + S - L. key_length None means S = L. When L > S the first L - S queries come before every key, and their
    rows are all True. Returns (L, S) bool. Raises ValueError when a length is < 1 (0 is not None).
    """
    if key_length is None:
        key_length = query_length
    if query_length < 1 or key_length < 1:
        raise ValueError(f"lengths must be >= 1: {query_length}, {key_length}")
    offset = key_length - query_length
    return torch.tensor([[j > i + offset for j in range(key_length)] for i in range(query_length)])


def combine_masks(
    padding: Bool[Tensor, "B S"] | None = None,
    causal: Bool[Tensor, "L S"] | None = None,
) -> Bool[Tensor, "..."] | None:
    """Hide what either mask hides, in a shape that broadcasts to scores of shape (B, H, L, S).

    Both given: (B, 1, L, S). Padding alone: (B, 1, 1, S). Causal alone: (L, S). Neither: None. The inputs are not changed.
    Raises ValueError when a mask is not bool or not 2-D, or when the two differ in S.
    """
    given = {"padding": padding, "causal": causal}
    for name, mask in given.items():
        if mask is not None and not (mask.dtype == torch.bool and mask.dim() == 2):
            raise ValueError(f"{name} must be 2-D and bool, got {mask.dim()}-D and {mask.dtype}")
    if padding is None:
        return causal
    if causal is None:
        return padding.unsqueeze(1).unsqueeze(2)
    if padding.size(1) != causal.size(1):
        raise ValueError(f"{padding.size(1)} keys in padding, {causal.size(1)} in causal")
    return torch.stack([(row | causal).unsqueeze(0) for row in padding])


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
    if query.dim() < 2 or key.dim() < 2 or value.dim() < 2:
        raise ValueError("query, key and value must be at least 2-D")
    leads = {tuple(t.shape[:-2]) for t in (query, key, value)}
    if len(leads) > 1:
        raise ValueError(f"leading dimensions differ: {leads}")
    if query.size(-1) != key.size(-1):
        raise ValueError(f"features differ: {query.size(-1)}, {key.size(-1)}")
    if key.size(-2) != value.size(-2):
        raise ValueError(f"lengths differ: {key.size(-2)}, {value.size(-2)}")
    scores = (query.unsqueeze(-2) * key.unsqueeze(-3)).sum(-1) / math.sqrt(query.size(-1))
    if mask is None:
        mask = torch.zeros((), dtype=torch.bool)
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be bool, got {mask.dtype}")
    if mask.dim() > scores.dim() or any(m not in (1, s) for m, s in zip(mask.shape[::-1], scores.shape[::-1])):
        raise ValueError(f"mask {tuple(mask.shape)} does not fit {tuple(scores.shape)}")
    weights = torch.softmax(scores.masked_fill(mask, -1e30), dim=-1) * ~mask
    return (weights.unsqueeze(-1) * value.unsqueeze(-3)).sum(-2), weights
