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
    if token_ids.dim() != 2 or token_ids.is_floating_point():
        raise ValueError("token_ids must be a 2-D tensor of integers")
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
        raise ValueError("lengths must be at least 1")
    rows = torch.arange(query_length)[:, None]
    columns = torch.arange(key_length)[None, :]
    return columns > rows + (key_length - query_length)


def combine_masks(
    padding: Bool[Tensor, "B S"] | None = None,
    causal: Bool[Tensor, "L S"] | None = None,
) -> Bool[Tensor, "..."] | None:
    """Hide what either mask hides, in a shape that broadcasts to scores of shape (B, H, L, S).

    Both given: (B, 1, L, S). Padding alone: (B, 1, 1, S). Causal alone: (L, S). Neither: None. The inputs are not changed.
    Raises ValueError when a mask is not bool or not 2-D, or when the two differ in S.
    """
    # Write your solution here.
    raise NotImplementedError("not implemented yet: combine_masks")


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
    # Write your solution here.
    raise NotImplementedError("not implemented yet: scaled_dot_product_attention")
