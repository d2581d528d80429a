"""Rotary position embedding: positions as rotations of queries and keys (Su et al. 2021).

Letters in shapes: B batch, H heads, L positions, E = d_model features, D = E / H features of one head.
Masks are bool and True means hidden: must not be attended to.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def rotary_frequencies(head_dim: int, base: float = 10000.0) -> Float[Tensor, "head_dim/2"]:
    """How far each pair of features turns from one position to the next, in radians, from the fastest pair to the slowest.

    Pair i = 0 ... head_dim / 2 - 1 has the frequency base**(-2i / head_dim) (Su et al. 2021, section 3.2.2).
    Returns (head_dim / 2,), float64. Raises ValueError when head_dim is odd or less than 2.
    """
    if head_dim < 2 or head_dim % 2 == 1:
        raise ValueError(f"head_dim must be an even number, got {head_dim}")
    i = torch.arange(head_dim // 2, dtype=torch.float64)
    return 1 / base ** (2 * i / head_dim)


def apply_rotary(
    x: Float[Tensor, "*batch L D"],
    positions: Int[Tensor, "..."],
    base: float = 10000.0,
    layout: str = "interleaved",
    rotary_dim: int | None = None,
) -> Float[Tensor, "*batch L D"]:
    """Turn each pair of features by an angle proportional to its position (Su et al. 2021, eq. 34).

    The pair (a, b) becomes (a cos(angle) - b sin(angle), a sin(angle) + b cos(angle)) with angle = position * base**(-2i / rotary_dim) for pair i.
    layout "interleaved" pairs features (2i, 2i + 1), "half" pairs features (i, i + rotary_dim / 2).
    x is (..., L, D). positions: integers that broadcast to x.shape[:-1], such as (L,), or (B, 1, L) for x (B, H, L, D); in any order, negative too.
    The first rotary_dim features turn and the rest stays as it is, bit by bit; None turns all D.
    Returns a new tensor of x's shape and dtype. Angles are float64 for a float64 x, and float32 or better for any other.
    Raises ValueError when rotary_dim (or D in its place) is odd or not in 2 ... D, and when the layout is unknown.
    """
    D = x.shape[-1]
    if rotary_dim is None:
        rotary_dim = D
    if rotary_dim % 2 == 1 or rotary_dim < 2 or rotary_dim > D:
        raise ValueError(f"rotary_dim must be even and at most {D}, got {rotary_dim}")
    if layout == "half":
        raise NotImplementedError("not implemented yet: the half layout")  # TODO
    if layout != "interleaved":
        raise ValueError(f"unknown layout {layout!r}")
    angles = positions[..., None].double() * rotary_frequencies(rotary_dim, base)
    result = x.clone()
    for i in range(rotary_dim // 2):
        a, b = x[..., 2 * i].double(), x[..., 2 * i + 1].double()
        cos, sin = angles[..., i].cos(), angles[..., i].sin()
        result[..., 2 * i] = (a * cos - b * sin).to(x.dtype)
        result[..., 2 * i + 1] = (a * sin + b * cos).to(x.dtype)
    return result


class RotaryMultiHeadAttention(nn.Module):
    """Multi-head self-attention whose scores depend on how far apart two positions are: queries and keys turn, values do not.

    score of query i and key j = (R_i q_i) . (R_j k_j) / sqrt(D) = q_i . (R_{j - i} k_j) / sqrt(D), where R_m turns by position m
    (Su et al. 2021, eq. 16). The state dict has the weights and biases of the four layers and nothing else.
    """

    def __init__(self, d_model: int, num_heads: int, base: float = 10000.0) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        if (d_model // num_heads) % 2 != 0:
            raise ValueError(f"the size of one head must be even, got {d_model} / {num_heads} = {d_model // num_heads}")
        self.d_model = d_model
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.base = base
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)

    def forward(
        self, x: Float[Tensor, "B L E"], positions: Int[Tensor, "..."] | None = None, mask: Bool[Tensor, "..."] | None = None
    ) -> Float[Tensor, "B L E"]:
        """Attend from each position of x (B, L, E) to all that the mask does not hide; the output alone, (B, L, E), in x's dtype.

        positions: integers, (L,) for all sequences or (B, L) for each its own; None means 0 ... L - 1.
        mask: bool, True = hidden, broadcastable to (B, H, L, L); without one nothing is hidden, later positions neither.
        After the split into heads, query and key turn by their positions: interleaved pairs, the whole head_dim, the module's base.
        A query that sees no key gets zeros from every head, so the bias of w_o; gradients stay finite.
        """
        # Write your solution here.
        raise NotImplementedError("not implemented yet: RotaryMultiHeadAttention.forward")
