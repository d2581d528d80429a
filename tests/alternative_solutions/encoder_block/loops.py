"""One sequence and one head at a time, with the padded keys cut out; no layer's forward is called, dropout and norms are functions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def normalise(x: Tensor, norm: LayerNorm) -> Tensor:
    d_model = x.size(-1)
    mean = x.sum(dim=-1, keepdim=True) / d_model
    variance = ((x - mean) * (x - mean)).sum(dim=-1, keepdim=True) / d_model
    return norm.weight * ((x - mean) / torch.sqrt(variance + norm.eps)) + norm.bias


def attend_one(layer: nn.MultiheadAttention, x: Tensor, visible: Tensor) -> Tensor:
    """x (L, E), visible (L,)."""
    width = layer.embed_dim // layer.num_heads
    heads = []
    for h in range(layer.num_heads):
        q, k, v = (
            x @ layer.in_proj_weight[start : start + width].T + layer.in_proj_bias[start : start + width]
            for start in range(h * width, 3 * layer.embed_dim, layer.embed_dim)
        )
        if bool(visible.any()):
            weights = torch.softmax(q @ k[visible].T / math.sqrt(width), dim=-1)
            heads.append(F.dropout(weights, layer.dropout, layer.training) @ v[visible])
        else:
            heads.append(torch.zeros_like(v))
    return F.linear(torch.cat(heads, dim=-1), layer.out_proj.weight, layer.out_proj.bias)


class LayerNorm(nn.Module):
    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        if d_model < 1:
            raise ValueError(f"d_model must be >= 1, got {d_model}")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Tensor) -> Tensor:
        return normalise(x, self)


class FeedForward(nn.Module):
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

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.linear(x, self.linear1.weight, self.linear1.bias)
        hidden = torch.maximum(hidden, torch.zeros_like(hidden)) if self.activation == "relu" else hidden * torch.special.ndtr(hidden)
        return F.linear(F.dropout(hidden, self.dropout.p, self.training), self.linear2.weight, self.linear2.bias)


class EncoderBlock(nn.Module):
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

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        rows = []
        for b in range(x.size(0)):
            visible = torch.ones(x.size(1), dtype=torch.bool) if padding_mask is None else ~padding_mask[b]
            rows.append(self.one_sequence(x[b], visible))
        return torch.stack(rows)

    def one_sequence(self, x: Tensor, visible: Tensor) -> Tensor:
        p = self.dropout1.p
        if self.norm_first:
            x = x + F.dropout(attend_one(self.self_attention, normalise(x, self.norm1), visible), p, self.training)
            return x + F.dropout(self.feed_forward.forward(normalise(x, self.norm2)), p, self.training)
        x = normalise(x + F.dropout(attend_one(self.self_attention, x, visible), p, self.training), self.norm1)
        return normalise(x + F.dropout(self.feed_forward.forward(x), p, self.training), self.norm2)


class Encoder(nn.Module):
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

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, padding_mask)
        return x if self.norm is None else self.norm(x)
