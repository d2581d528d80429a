"""Functional layer norms and linears on the parameters, F.dropout with self.training, causal mask kept and grown when needed."""

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
        self.p = dropout
        self.register_buffer("kept", torch.zeros(0, 0, dtype=torch.bool), persistent=False)

    def norm_of(self, x, norm):
        return F.layer_norm(x, (x.size(-1),), norm.weight, norm.bias, norm.eps)

    def drop(self, x):
        return F.dropout(x, self.p, self.training)

    def future(self, length):
        if self.kept.size(0) < length:
            self.kept = torch.ones(length, length, dtype=torch.bool).triu(1)
        return self.kept[:length, :length]

    def attention(self, layer, query, source, causal, padding):
        same = F.multi_head_attention_forward(
            query.transpose(0, 1),
            source.transpose(0, 1),
            source.transpose(0, 1),
            layer.embed_dim,
            layer.num_heads,
            layer.in_proj_weight,
            layer.in_proj_bias,
            None,
            None,
            False,
            0.0,
            layer.out_proj.weight,
            layer.out_proj.bias,
            training=self.training,
            key_padding_mask=padding,
            need_weights=False,
            attn_mask=causal,
        )[0]
        return same.transpose(0, 1)

    def feed(self, x):
        hidden = F.linear(x, self.linear1.weight, self.linear1.bias)
        hidden = torch.relu(hidden) if self.activation == "relu" else F.gelu(hidden)
        return F.linear(self.drop(hidden), self.linear2.weight, self.linear2.bias)

    def forward(self, x, memory=None, padding_mask=None, memory_padding_mask=None):
        if (memory is None) != (self.cross_attention is None):
            raise ValueError("a memory is needed with cross-attention, and only then")
        for name, mask, given in (("padding_mask", padding_mask, x), ("memory_padding_mask", memory_padding_mask, memory)):
            if mask is not None and (given is None or mask.shape != given.shape[:2]):
                raise ValueError(f"{name} has shape {tuple(mask.shape)} and does not fit")
        causal = self.future(x.size(1))
        if self.norm_first:
            normal = self.norm_of(x, self.norm1)
            x = x + self.drop(self.attention(self.self_attention, normal, normal, causal, padding_mask))
            if memory is not None:
                x = x + self.drop(self.attention(self.cross_attention, self.norm_of(x, self.norm2), memory, None, memory_padding_mask))
            return x + self.drop(self.feed(self.norm_of(x, self.norm3)))
        x = self.norm_of(x + self.drop(self.attention(self.self_attention, x, x, causal, padding_mask)), self.norm1)
        if memory is not None:
            x = self.norm_of(x + self.drop(self.attention(self.cross_attention, x, memory, None, memory_padding_mask)), self.norm2)
        return self.norm_of(x + self.drop(self.feed(x)), self.norm3)


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
