"""Masks, sub-layers and the residual connection as small classes of their own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Arguments:
    x: torch.Tensor
    memory: torch.Tensor | None
    padding_mask: torch.Tensor | None
    memory_padding_mask: torch.Tensor | None

    def check(self, has_cross_attention):
        if has_cross_attention and self.memory is None:
            raise ValueError("no memory was given")
        if not has_cross_attention and self.memory is not None:
            raise ValueError("a memory was given to a block without cross-attention")
        if self.padding_mask is not None and tuple(self.padding_mask.shape) != tuple(self.x.shape[:2]):
            raise ValueError(f"padding_mask {tuple(self.padding_mask.shape)} does not fit x {tuple(self.x.shape)}")
        if self.memory_padding_mask is not None:
            if self.memory is None:
                raise ValueError("memory_padding_mask without memory")
            if tuple(self.memory_padding_mask.shape) != tuple(self.memory.shape[:2]):
                raise ValueError(f"memory_padding_mask {tuple(self.memory_padding_mask.shape)} does not fit {tuple(self.memory.shape)}")

    def causal(self):
        batch, length, _ = self.x.shape
        position = torch.arange(length)
        seen = (position <= position[:, None]).expand(batch, length, length)
        return seen if self.padding_mask is None else seen.logical_and(self.padding_mask.logical_not().unsqueeze(1))

    def for_memory(self):
        shape = (*self.x.shape[:2], self.memory.size(1))
        if self.memory_padding_mask is None:
            return torch.ones(shape, dtype=torch.bool)
        return self.memory_padding_mask.logical_not().unsqueeze(1).expand(shape)


class Attend:
    def __init__(self, layer, source, seen):
        self.layer, self.source, self.seen = layer, source, seen

    def __call__(self, x):
        source = x if self.source is None else self.source
        layer, width = self.layer, x.size(-1)
        q = F.linear(x, layer.in_proj_weight[:width], layer.in_proj_bias[:width])
        k, v = F.linear(source, layer.in_proj_weight[width:], layer.in_proj_bias[width:]).chunk(2, -1)
        heads = []
        for q_h, k_h, v_h in zip(*(part.chunk(layer.num_heads, -1) for part in (q, k, v)), strict=True):
            scores = torch.baddbmm(torch.zeros(1, dtype=x.dtype), q_h, k_h.transpose(1, 2), alpha=q_h.size(-1) ** -0.5)
            scores = torch.where(self.seen, scores, -torch.inf)
            top = scores.amax(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).min)
            powers = torch.exp(scores - top.detach())
            heads.append((powers @ v_h) / powers.sum(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny))
        return layer.out_proj(torch.cat(heads, -1))


class Residual:
    def __init__(self, norm, norm_first, dropout):
        self.norm, self.norm_first, self.dropout = norm, norm_first, dropout

    def __call__(self, x, step):
        if self.norm_first:
            return torch.add(self.dropout(step(self.norm(x))), x)
        return self.norm(torch.add(self.dropout(step(x)), x))


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

    def forward(self, x, memory=None, padding_mask=None, memory_padding_mask=None):
        arguments = Arguments(x, memory, padding_mask, memory_padding_mask)
        arguments.check(self.cross_attention is not None)
        steps = [(self.norm1, Attend(self.self_attention, None, arguments.causal()))]
        if self.cross_attention is not None:
            steps.append((self.norm2, Attend(self.cross_attention, memory, arguments.for_memory())))
        steps.append((self.norm3, self.feed_forward))
        for norm, step in steps:
            x = Residual(norm, self.norm_first, self.dropout)(x, step)
        return x

    def feed_forward(self, x):
        x = self.linear1(x)
        x = x.clamp_min(0) if self.activation == "relu" else 0.5 * x * (1 + torch.erf(x * 0.5**0.5))
        return self.linear2(self.dropout(x))


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
        if token_ids.ndim != 2:
            raise ValueError("token_ids must be two-dimensional")
        if token_ids.shape[1] > self.position_embedding.num_embeddings:
            raise ValueError("the sequence is too long")
        x = self.embedding.weight[token_ids]
        x = self.dropout(x + self.position_embedding.weight.narrow(0, 0, x.size(1)))
        for layer in self.layers:
            x = layer.forward(x)
        if self.norm is not None:
            x = self.norm(x)
        return torch.matmul(x, self.embedding.weight.t())
