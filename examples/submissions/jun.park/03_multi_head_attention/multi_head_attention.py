"""Multi-head attention (Vaswani et al. 2017, section 3.2.2).

Letters in shapes: B batch, H heads, L queries, S keys, E = d_model features, D = E / H features of one head.
Masks are bool and True means hidden: must not be attended to.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class MultiHeadAttention(nn.Module):
    """MultiHead(Q, K, V) = Concat(head_1, ..., head_H) W_O, head_h = Attention(Q W_Q_h, K W_K_h, V W_V_h).

    Head h owns columns h*D ... (h+1)*D - 1 of each projection's output.
    """

    def __init__(self, d_model: int, num_heads: int, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout must be in [0, 1], got {dropout}")
        self.d_model = d_model
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.w_q = nn.Linear(d_model, d_model, bias=bias)
        self.w_k = nn.Linear(d_model, d_model, bias=bias)
        self.w_v = nn.Linear(d_model, d_model, bias=bias)
        self.w_o = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        query: Float[Tensor, "B L E"],
        key: Float[Tensor, "B S E"],
        value: Float[Tensor, "B S E"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> tuple[Float[Tensor, "B L E"], Float[Tensor, "B H L S"]]:
        """Attend with every head, concatenate the heads in order, project with w_o.

        Self-attention is forward(x, x, x); cross-attention takes key and value from another sequence of any length.
        mask: bool, True = hidden; 2-D is (L, S), also when L equals B; 4-D broadcasts to (B, H, L, S).
        A query that sees no key in one head gets zeros from that head alone; in all heads, its output is w_o's bias.
        Returns (output, weights); the weights are those before dropout, and dropout acts on the weights only.
        Raises ValueError when an input is not 3-D or not d_model wide, when batches or the lengths of key and value differ,
        when mask is not bool, neither 2-D nor 4-D, or does not broadcast.
        """
        B, L, E = query.shape
        if key.shape != value.shape or key.size(0) != B or key.size(2) != E or E != self.d_model:
            raise ValueError(f"shapes do not fit: {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}")
        q = self.w_q(query).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        k = self.w_k(key).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        v = self.w_v(value).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        scores = q @ k.mT / math.sqrt(self.head_dim)
        if mask is not None:
            if mask.dtype != torch.bool:
                raise ValueError(f"mask must be bool, got {mask.dtype}")
            if mask.dim() not in (2, 4):
                raise ValueError(f"mask must be 2-D or 4-D, got {mask.dim()}-D")
            if any(m not in (1, s) for m, s in zip(mask.shape[::-1], scores.shape[::-1])):
                raise ValueError(f"mask {tuple(mask.shape)} does not fit {tuple(scores.shape)}")
            scores = scores.masked_fill(mask, -math.inf)
        weights = scores.softmax(-1)
        return self.w_o((self.dropout(weights) @ v).transpose(1, 2).flatten(2)), weights
