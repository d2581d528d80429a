"""nn.MultiheadAttention called as it comes, need_weights=False; one dropout module for each site."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class DecoderBlock(nn.Module):
    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        activation: str = "relu",
        dropout: float = 0.0,
        norm_first: bool = False,
        cross_attention: bool = True,
    ) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        if activation not in ("relu", "gelu"):
            raise ValueError(f'activation must be "relu" or "gelu", got {activation!r}')
        self.activation = activation
        self.norm_first = norm_first
        self.self_attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True)
        self.norm1 = nn.LayerNorm(d_model)
        self.cross_attention = nn.MultiheadAttention(d_model, num_heads, batch_first=True) if cross_attention else None
        if cross_attention:
            self.norm2 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm3 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        self.dropout1 = nn.Dropout(dropout)
        self.dropout2 = nn.Dropout(dropout)
        self.dropout3 = nn.Dropout(dropout)
        self.activate = nn.ReLU() if activation == "relu" else nn.GELU()

    def forward(self, x, memory=None, padding_mask=None, memory_padding_mask=None):
        if (memory is None) != (self.cross_attention is None):
            raise ValueError("a memory is needed with cross-attention, and only then")
        for name, mask, given in (("padding_mask", padding_mask, x), ("memory_padding_mask", memory_padding_mask, memory)):
            if mask is not None and (given is None or mask.shape != given.shape[:2]):
                raise ValueError(f"{name} has shape {tuple(mask.shape)} and does not fit")
        future = torch.triu(torch.ones(x.size(1), x.size(1), dtype=torch.bool), diagonal=1)
        y = self.norm1(x) if self.norm_first else x
        y = self.self_attention(y, y, y, key_padding_mask=padding_mask, attn_mask=future, need_weights=False)[0]
        x = x + self.dropout1(y)
        if not self.norm_first:
            x = self.norm1(x)
        if self.cross_attention is not None:
            y = self.norm2(x) if self.norm_first else x
            y = self.cross_attention(y, memory, memory, key_padding_mask=memory_padding_mask, need_weights=False)[0]
            x = x + self.dropout2(y)
            if not self.norm_first:
                x = self.norm2(x)
        y = self.norm3(x) if self.norm_first else x
        y = self.linear2(self.dropout(self.activate(self.linear1(y))))
        x = x + self.dropout3(y)
        return x if self.norm_first else self.norm3(x)


class CausalLM(nn.Module):
    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        num_layers: int,
        max_len: int,
        activation: str = "relu",
        dropout: float = 0.0,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        self.max_len = max_len
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.position_embedding = nn.Embedding(max_len, d_model)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            DecoderBlock(d_model, num_heads, d_ff, activation, dropout, norm_first, cross_attention=False) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(d_model) if norm_first else None

    def forward(self, token_ids):
        if token_ids.dim() != 2 or token_ids.size(1) > self.max_len:
            raise ValueError(f"token_ids must be (B, L <= {self.max_len}), got {tuple(token_ids.shape)}")
        x = self.dropout(self.embedding(token_ids) + self.position_embedding.weight[: token_ids.size(1)])
        for layer in self.layers:
            x = layer(x)
        return F.linear(x if self.norm is None else self.norm(x), self.embedding.weight)
