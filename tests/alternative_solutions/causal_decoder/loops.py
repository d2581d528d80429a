"""One sequence, one head and one query at a time; a query takes the keys that it sees out of the sequence, and no score is masked."""

from __future__ import annotations

import math

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

    def attend(self, layer, query, source, visible):
        width = query.size(-1) // layer.num_heads
        w_q, w_k, w_v = layer.in_proj_weight.split(query.size(-1))
        b_q, b_k, b_v = layer.in_proj_bias.split(query.size(-1))
        sequences = []
        for b in range(query.size(0)):
            rows = []
            for i in range(query.size(1)):
                keys = visible(b, i)
                heads = []
                for h in range(layer.num_heads):
                    own = slice(h * width, (h + 1) * width)
                    if len(keys) == 0:
                        heads.append(query.new_zeros(width))
                        continue
                    q = query[b, i] @ w_q[own].T + b_q[own]
                    k = source[b, keys] @ w_k[own].T + b_k[own]
                    v = source[b, keys] @ w_v[own].T + b_v[own]
                    heads.append(torch.softmax(k @ q / math.sqrt(width), 0) @ v)
                rows.append(torch.cat(heads))
            sequences.append(torch.stack(rows))
        return layer.out_proj(torch.stack(sequences))

    def forward(self, x, memory=None, padding_mask=None, memory_padding_mask=None):
        if (memory is None) != (self.cross_attention is None):
            raise ValueError("a memory is needed with cross-attention, and only then")
        for name, mask, given in (("padding_mask", padding_mask, x), ("memory_padding_mask", memory_padding_mask, memory)):
            if mask is not None and (given is None or mask.shape != given.shape[:2]):
                raise ValueError(f"{name} has shape {tuple(mask.shape)} and does not fit")

        def past(b, i):
            return [j for j in range(i + 1) if padding_mask is None or not padding_mask[b, j]]

        def of_memory(b, i):
            return [j for j in range(memory.size(1)) if memory_padding_mask is None or not memory_padding_mask[b, j]]

        def attend_self(y):
            return self.attend(self.self_attention, y, y, past)

        def attend_cross(y):
            return self.attend(self.cross_attention, y, memory, of_memory)

        def feed(y):
            activate = F.relu if self.activation == "relu" else F.gelu
            return self.linear2(self.dropout(activate(self.linear1(y))))

        for norm, attention in ((self.norm1, attend_self), (getattr(self, "norm2", None), attend_cross), (self.norm3, feed)):
            if norm is not None:
                x = x + self.dropout(attention(norm(x))) if self.norm_first else norm(x + self.dropout(attention(x)))
        return x


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
