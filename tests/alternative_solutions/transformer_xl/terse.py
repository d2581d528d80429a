"""As short as it gets."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Tensor:
    if d_model % 2:
        raise ValueError(f"d_model={d_model}")
    angle = torch.arange(length - 1, -1, -1).double()[:, None] * 1e4 ** (torch.arange(0, d_model, 2).double() / -d_model)
    return torch.cat([angle.sin(), angle.cos()], 1)


def relative_shift(scores: Tensor) -> Tensor:
    return F.pad(scores, (1, 0)).flatten(-2)[..., scores.size(-2) :].reshape(scores.shape)


class RelativeMultiHeadAttention(nn.Module):
    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        self.d_model = d_model
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.w_q = nn.Linear(d_model, d_model, bias=False)
        self.w_k = nn.Linear(d_model, d_model, bias=False)
        self.w_v = nn.Linear(d_model, d_model, bias=False)
        self.w_r = nn.Linear(d_model, d_model, bias=False)
        self.w_o = nn.Linear(d_model, d_model, bias=False)
        self.u = nn.Parameter(torch.zeros(num_heads, self.head_dim))
        self.v = nn.Parameter(torch.zeros(num_heads, self.head_dim))

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        c = x if memory is None else torch.cat([memory.detach(), x], 1)
        r = relative_positional_encoding(c.size(1), self.d_model).to(x)[None]
        sources = ((self.w_q, x), (self.w_k, c), (self.w_v, c), (self.w_r, r))
        q, k, v, r = (w(t).unflatten(2, (self.num_heads, -1)).transpose(1, 2) for w, t in sources)
        s = ((q + self.u[:, None]) @ k.mT + relative_shift((q + self.v[:, None]) @ r.mT)) / self.head_dim**0.5
        p = s.masked_fill(torch.ones_like(s).triu(1 + c.size(1) - x.size(1)).bool(), -math.inf).softmax(-1)
        return self.w_o((p @ v).transpose(1, 2).flatten(2))


class TransformerXLLayer(nn.Module):
    def __init__(self, d_model: int, num_heads: int, d_ff: int) -> None:
        super().__init__()
        self.attention = RelativeMultiHeadAttention(d_model, num_heads)
        self.norm1 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm2 = nn.LayerNorm(d_model)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        x = self.norm1(x + self.attention(x, memory))
        return self.norm2(x + self.linear2(F.relu(self.linear1(x))))


class TransformerXL(nn.Module):
    def __init__(self, vocab_size: int, d_model: int, num_heads: int, d_ff: int, num_layers: int, mem_len: int) -> None:
        super().__init__()
        if mem_len < 0:
            raise ValueError(f"mem_len must be >= 0, got {mem_len}")
        self.d_model = d_model
        self.mem_len = mem_len
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.layers = nn.ModuleList(TransformerXLLayer(d_model, num_heads, d_ff) for _ in range(num_layers))

    def forward(self, token_ids: Tensor, memories: list[Tensor] | tuple[Tensor, ...] | None = None) -> tuple[Tensor, list[Tensor]]:
        x, kept = self.embedding(token_ids) * self.d_model**0.5, []
        old = [x[:, :0]] * len(self.layers) if memories is None else memories
        if len(old) != len(self.layers) or {len(m) for m in old} != {len(x)}:
            raise ValueError(f"memories {[tuple(m.shape) for m in old]} for {len(self.layers)} layers and a batch of {len(x)}")
        for layer, m in zip(self.layers, old, strict=True):
            seen = torch.cat([m, x], 1).detach()
            kept.append(seen[:, max(0, seen.size(1) - self.mem_len) :])
            x = layer(x, m)
        return x @ self.embedding.weight.T, kept
