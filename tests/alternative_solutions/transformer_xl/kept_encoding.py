"""Each attention keeps the longest encoding of distances so far, in float64 and outside the state dict, and uses its end."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Tensor:
    if d_model % 2 != 0:
        raise ValueError(f"d_model={d_model}; it must be even")
    distance = torch.arange(length - 1, -1, -1, dtype=torch.float64)[:, None]
    column = torch.arange(d_model // 2, dtype=torch.float64)[None, :]
    angle = distance * torch.exp(column * (-2 * math.log(10000.0) / d_model))
    table = torch.empty(length, d_model, dtype=torch.float64)
    table[:, : d_model // 2], table[:, d_model // 2 :] = angle.sin(), angle.cos()
    return table


def relative_shift(scores: Tensor) -> Tensor:
    L = scores.size(-2)
    rows = [row.roll(1 + i - L, dims=-1) for i, row in enumerate(scores.unbind(-2))]
    return torch.stack(rows, dim=-2)


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
        self._encoding: Tensor | None = None

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        context = torch.cat([memory.detach(), x], dim=1) if memory is not None else x
        batch, keys, _ = context.shape
        length = x.size(1)

        def heads(layer: nn.Linear, source: Tensor) -> Tensor:
            return layer(source).view(source.size(0), -1, self.num_heads, self.head_dim).transpose(1, 2)

        query = heads(self.w_q, x)
        relative = heads(self.w_r, self.encoding(keys).to(x).unsqueeze(0))
        # Both terms in one product would need twice the width; two products and a sum it is.
        scores = (query + self.u[None, :, None]) @ heads(self.w_k, context).transpose(-1, -2)
        scores = scores + relative_shift((query + self.v[None, :, None]) @ relative.transpose(-1, -2))
        scores = scores / math.sqrt(self.head_dim)
        for i in range(length - 1):
            hidden = torch.zeros(length, keys, dtype=torch.bool)
            hidden[i, keys - length + i + 1 :] = True
            scores = scores.masked_fill(hidden, float("-inf"))
        out = scores.softmax(dim=-1) @ heads(self.w_v, context)
        return self.w_o(out.transpose(1, 2).contiguous().view(batch, length, self.d_model))

    def encoding(self, length: int) -> Tensor:
        if self._encoding is None or self._encoding.size(0) < length:
            self._encoding = relative_positional_encoding(length, self.d_model)
        return self._encoding[self._encoding.size(0) - length :]


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
        if memories is None:
            past: list[Tensor | None] = [None] * len(self.layers)
        elif len(memories) == len(self.layers):
            past = list(memories)
        else:
            raise ValueError(f"got {len(memories)} memories for {len(self.layers)} layers")
        for memory in past:
            if memory is not None and memory.size(0) != token_ids.size(0):
                raise ValueError(f"batch sizes differ: memory {memory.size(0)}, token_ids {token_ids.size(0)}")
        x = self.embedding(token_ids) * self.d_model**0.5
        for index, layer in enumerate(self.layers):
            before, past[index] = past[index], x.detach() if past[index] is None else torch.cat([past[index], x], dim=1).detach()
            x = layer(x, before)
        return x @ self.embedding.weight.transpose(0, 1), [seen[:, max(seen.size(1) - self.mem_len, 0) :] for seen in past]
