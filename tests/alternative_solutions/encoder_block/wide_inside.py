"""Norms and attention scores of low precision inside in float32; attention with an online softmax over the keys."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm(nn.Module):
    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        if d_model < 1:
            raise ValueError(f"d_model must be >= 1, got {d_model}")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Tensor) -> Tensor:
        wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
        centred = wide - wide.mean(-1, keepdim=True)
        scale = 1 / torch.sqrt(centred.square().mean(-1, keepdim=True) + self.eps)
        return (centred * scale * self.weight.to(wide) + self.bias.to(wide)).to(x.dtype)


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
        return self.linear2(self.dropout(getattr(F, self.activation)(self.linear1(x))))


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
        if self.norm_first:
            x = x + self.dropout1(self.attend(self.norm1(x), padding_mask))
            return x + self.dropout2(self.feed_forward(self.norm2(x)))
        x = self.norm1(x + self.dropout1(self.attend(x, padding_mask)))
        return self.norm2(x + self.dropout2(self.feed_forward(x)))

    def attend(self, x: Tensor, padding_mask: Tensor | None) -> Tensor:
        layer = self.self_attention
        projected = layer.in_proj_bias + x @ layer.in_proj_weight.mT
        q, k, v = projected.unflatten(-1, (3, layer.num_heads, layer.head_dim)).permute(2, 0, 3, 1, 4)
        q, k, v = (part if x.dtype == torch.float64 else part.float() for part in (q, k, v))
        largest = torch.full_like(q[..., :1], -1e30)  # (B, H, L, 1)
        total = torch.zeros_like(largest)
        mixed = torch.zeros_like(q)
        for s in range(x.size(1)):
            score = (q * k[:, :, s : s + 1]).sum(-1, keepdim=True) / math.sqrt(layer.head_dim)
            if padding_mask is not None:
                score = score.masked_fill(padding_mask[:, None, s, None, None], -math.inf)
            top = torch.maximum(largest, score.detach())
            power, shrink = torch.exp(score - top), torch.exp(largest - top)
            total = total * shrink + power
            kept = nn.functional.dropout(torch.ones_like(power), layer.dropout, self.training)
            mixed = mixed * shrink + power * kept * v[:, :, s : s + 1]
            largest = top
        heads = mixed / torch.where(total == 0, 1.0, total)
        return layer.out_proj(heads.transpose(1, 2).flatten(2).to(x.dtype))


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
