"""The Transformer's encoder: layer normalisation, feed-forward network, block and stack (Vaswani et al. 2017, sections 3.1 and 3.3).

Letters in shapes: B batch, L positions, E = d_model features, F = d_ff features inside the feed-forward network.
Masks are bool and True means hidden: padding, which no position may attend to.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


class LayerNorm(nn.Module):
    """Normalise each position's features to mean 0 and variance 1, then scale and shift (Ba et al. 2016).

    y = (x - mean) / sqrt(variance + eps) * weight + bias, with mean and biased variance (divided by d_model) over the last
    dimension alone.
    """

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        if d_model < 1:
            raise ValueError(f"d_model must be >= 1, got {d_model}")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Float[Tensor, "*batch E"]) -> Float[Tensor, "*batch E"]:
        """Any leading dimensions. Returns x's shape and dtype; x is not changed."""
        h = x - x.mean(-1, keepdim=True)
        return h / (h.pow(2).mean(-1, keepdim=True) + self.eps).sqrt() * self.weight + self.bias


class FeedForward(nn.Module):
    """FFN(x) = linear2(dropout(activation(linear1(x)))), at each position alone (Vaswani et al. 2017, eq. 2)."""

    def __init__(self, d_model: int, d_ff: int, activation: str = "relu", dropout: float = 0.0) -> None:
        super().__init__()
        if activation not in ("relu", "gelu"):
            raise ValueError(f'activation must be "relu" or "gelu", got {activation!r}')
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout must be in [0, 1], got {dropout}")
        self.activation = activation
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B L E"]) -> Float[Tensor, "B L E"]:
        """Activation "relu" is max(0, z), "gelu" the exact z * Phi(z), not its tanh approximation; dropout acts after it, and only there.

        Returns x's shape and dtype; x is not changed.
        """
        act = {"relu": F.relu, "gelu": F.gelu}[self.activation]
        return self.linear2(self.dropout(act(self.linear1(x))))


class EncoderBlock(nn.Module):
    """Self-attention, then a feed-forward network, each with dropout, a residual connection and a layer normalisation.

    Post-norm, as in the paper: x = norm1(x + attend(x)); x = norm2(x + feed_forward(x)).
    norm_first (Xiong et al. 2020): x = x + attend(norm1(x)); x = x + feed_forward(norm2(x)).
    dropout1 and dropout2 act on what each sub-layer gives, before it is added to x.
    """

    def __init__(self, d_model: int, num_heads: int, d_ff: int, activation: str = "relu", dropout: float = 0.0, norm_first: bool = False) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        self.norm_first = norm_first
        self.self_attention = nn.MultiheadAttention(d_model, num_heads, dropout=dropout, batch_first=True)
        self.feed_forward = FeedForward(d_model, d_ff, activation, dropout)
        self.norm1 = LayerNorm(d_model)
        self.norm2 = LayerNorm(d_model)
        self.dropout1 = nn.Dropout(dropout)
        self.dropout2 = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B L E"], padding_mask: Bool[Tensor, "B L"] | None = None) -> Float[Tensor, "B L E"]:
        """padding_mask: (B, L) bool, True = padding, hides keys only: the row of a padded query is computed like any other.

        In a sequence that is all padding, attention gives the bias of its output projection, and everything stays finite.
        Call nn.MultiheadAttention with need_weights=False: its default of True gives NaN there.
        Returns x's shape and dtype; x and padding_mask are not changed.
        """
        for norm, f in ((self.norm1, self._attn), (self.norm2, self._ffn)):
            if self.norm_first:
                x = norm(x)
                x = x + f(x, padding_mask)
            else:
                x = norm(x + f(x, padding_mask))
        return x

    def _attn(self, x, padding_mask):
        return self.dropout1(self.self_attention(x, x, x, key_padding_mask=padding_mask, need_weights=False)[0])

    def _ffn(self, x, padding_mask):
        return self.dropout2(self.feed_forward(x))


class Encoder(nn.Module):
    """num_layers blocks one after the other, each with parameters of its own: x = layer(x) for each of them.

    `norm`, a layer normalisation of what the last block gives, exists only with norm_first: there the residual sum is never normalised otherwise.
    """

    def __init__(
        self,
        num_layers: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        activation: str = "relu",
        dropout: float = 0.0,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers must be >= 1, got {num_layers}")
        self.layers = nn.ModuleList(EncoderBlock(d_model, num_heads, d_ff, activation, dropout, norm_first) for _ in range(num_layers))
        self.norm = LayerNorm(d_model) if norm_first else None

    def forward(self, x: Float[Tensor, "B L E"], padding_mask: Bool[Tensor, "B L"] | None = None) -> Float[Tensor, "B L E"]:
        """Every block gets the same padding_mask, (B, L), True = padding. Returns x's shape and dtype; nothing given is changed."""
        for layer in self.layers:
            x = layer(x, padding_mask)
        return self.norm(x) if self.norm is not None else x
