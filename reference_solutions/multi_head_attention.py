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
        ### BEGIN SOLUTION
        self._check(query, key, value)
        q = self._split(self.w_q(query))  # (B, H, L, D)
        k = self._split(self.w_k(key))  # (B, H, S, D)
        v = self._split(self.w_v(value))  # (B, H, S, D)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)  # (B, H, L, S)
        if mask is not None:
            self._check_mask(mask, scores.shape)
            scores = scores.masked_fill(mask, -math.inf)
        weights = torch.softmax(scores, dim=-1)  # (B, H, L, S)
        if mask is not None:
            # softmax over nothing is 0/0; a query that sees no key takes nothing from any.
            weights = weights.masked_fill(mask.all(dim=-1, keepdim=True), 0.0)
        heads = self.dropout(weights) @ v  # (B, H, L, D)
        output = self.w_o(heads.transpose(1, 2).flatten(2))  # (B, L, H, D) -> (B, L, E)
        return output, weights
        ### END SOLUTION

    ### BEGIN SOLUTION
    def _split(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)  # (B, L, E) -> (B, H, L, D)

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
        if any(x.dim() != 3 or x.size(-1) != self.d_model for x in (query, key, value)):
            raise ValueError(f"query, key and value must be (B, length, {self.d_model}), got {shapes}")
        if not query.size(0) == key.size(0) == value.size(0):
            raise ValueError(f"batch sizes differ: {shapes}")
        if key.size(1) != value.size(1):
            raise ValueError(f"every key needs one value: {shapes}")

    @staticmethod
    def _check_mask(mask: Tensor, scores_shape: torch.Size) -> None:
        if mask.dtype != torch.bool:
            raise ValueError(f"mask must be bool (True = hidden), got {mask.dtype}")
        try:
            fits = mask.dim() in (2, 4) and torch.broadcast_shapes(mask.shape, scores_shape) == scores_shape
        except RuntimeError:
            fits = False
        if not fits:
            raise ValueError(f"mask must be (L, S) or broadcast to (B, H, L, S) = {tuple(scores_shape)}, got {tuple(mask.shape)}")

    ### END SOLUTION
