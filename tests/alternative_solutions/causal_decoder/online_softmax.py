"""Keys one after the other with a running maximum and sum, as flash attention does; rows without keys divide by one."""

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

    def attend(self, layer, query, source, hidden):
        heads = layer.num_heads
        q, k, v = (
            (given @ weight.T + bias).unflatten(-1, (heads, -1)).transpose(1, 2)
            for given, weight, bias in zip((query, source, source), layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3), strict=True)
        )
        q = q / math.sqrt(q.size(-1))
        top = torch.full(q.shape[:-1], -torch.inf, dtype=q.dtype)
        total, taken = torch.zeros_like(top), torch.zeros_like(q)
        for j in range(k.size(2)):
            score = (q * k[:, :, j : j + 1]).sum(-1)  # (B, H, L)
            seen = torch.ones_like(score, dtype=torch.bool) if hidden is None else ~hidden[:, None, :, j].expand_as(score)
            new_top = torch.where(seen, torch.maximum(top, score.detach()), top)
            finite = new_top.masked_fill(new_top == -torch.inf, 0.0)
            shrink = torch.exp(top - finite)
            power = torch.where(seen, torch.exp(torch.where(seen, score, 0.0) - torch.where(seen, finite, 0.0)), 0.0)
            total = total * shrink + power
            taken = taken * shrink.unsqueeze(-1) + power.unsqueeze(-1) * v[:, :, j : j + 1]
            top = new_top
        heads = taken / torch.where(total == 0, 1.0, total).unsqueeze(-1)
        return layer.out_proj(heads.transpose(1, 2).flatten(2))

    def forward(self, x, memory=None, padding_mask=None, memory_padding_mask=None):
        if (memory is None) != (self.cross_attention is None):
            raise ValueError("a memory is needed with cross-attention, and only then")
        for name, mask, given in (("padding_mask", padding_mask, x), ("memory_padding_mask", memory_padding_mask, memory)):
            if mask is not None and (given is None or mask.shape != given.shape[:2]):
                raise ValueError(f"{name} has shape {tuple(mask.shape)} and does not fit")
        future = torch.ones(x.size(1), x.size(1), dtype=torch.bool).triu(1)[None]
        hidden = future if padding_mask is None else future | padding_mask[:, None]
        hidden_memory = None if memory_padding_mask is None else memory_padding_mask[:, None]

        def attend_self(y):
            return self.attend(self.self_attention, y, y, hidden)

        def attend_cross(y):
            return self.attend(self.cross_attention, y, memory, hidden_memory)

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
