"""Rotary position embedding: positions as rotations of queries and keys (Su et al. 2021).

Letters in shapes: B batch, H heads, L positions, E = d_model features, D = E / H features of one head.
Masks are bool and True means hidden: must not be attended to.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

_PAIR_AXIS = {"interleaved": -1, "half": -2}  # where the two of a pair are, once features are split in two dimensions


def rotary_frequencies(head_dim: int, base: float = 10000.0) -> Float[Tensor, "head_dim/2"]:
    """How far each pair of features turns from one position to the next, in radians, from the fastest pair to the slowest.

    Pair i = 0 ... head_dim / 2 - 1 has the frequency base**(-2i / head_dim) (Su et al. 2021, section 3.2.2).
    Returns (head_dim / 2,), float64. Raises ValueError when head_dim is odd or less than 2.
    """
    if head_dim < 2 or head_dim % 2 != 0:
        raise ValueError(f"head_dim = {head_dim} is not an even number >= 2")
    return torch.logspace(0.0, 2.0 / head_dim - 1.0, head_dim // 2, base=base, dtype=torch.float64)


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
    turned = x.shape[-1] if rotary_dim is None else rotary_dim
    if turned % 2 != 0 or not 2 <= turned <= x.shape[-1]:
        raise ValueError(f"rotary_dim = {turned} is odd or not in 2 ... {x.shape[-1]}")
    if layout not in _PAIR_AXIS:
        raise ValueError(f"layout = {layout!r} is none of {sorted(_PAIR_AXIS)}")
    axis = _PAIR_AXIS[layout]
    front, rest = x.split([turned, x.shape[-1] - turned], dim=-1)
    wide = torch.complex128 if x.dtype == torch.float64 else torch.complex64
    # A pair (a, b) is the number a + bi, and a turn is a product.
    size = (-1, 2) if axis == -1 else (2, -1)
    a, b = front.to(torch.float64).unflatten(-1, size).unbind(axis)
    angle = positions.unsqueeze(-1) * rotary_frequencies(turned, base)
    product = torch.complex(a, b).to(wide) * torch.polar(torch.ones_like(angle), angle).to(wide)
    front = torch.stack((product.real, product.imag), dim=axis).flatten(-2)
    return torch.cat((front.to(x.dtype), rest), dim=-1)


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
        length = x.size(1)
        positions = torch.arange(length, device=x.device) if positions is None else positions
        turns = positions.unsqueeze(-1)  # (L, 1) or (B, L, 1): heads stay behind the positions here
        q, k, v = (layer(x).unflatten(-1, (self.num_heads, self.head_dim)) for layer in (self.w_q, self.w_k, self.w_v))
        q, k = apply_rotary(q, turns, self.base), apply_rotary(k, turns, self.base)
        scores = torch.einsum("blhd,bmhd->bhlm", q, k) * self.head_dim**-0.5
        if mask is not None:
            scores = torch.where(mask, torch.finfo(scores.dtype).min, scores)
        powers = (scores - scores.amax(-1, keepdim=True)).exp()
        if mask is not None:
            powers = torch.where(mask, 0.0, powers)
        weights = powers / powers.sum(-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
        return self.w_o(torch.einsum("bhlm,bmhd->blhd", weights, v).flatten(2))
