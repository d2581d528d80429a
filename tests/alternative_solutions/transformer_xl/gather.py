"""The shift as a gather along an index; heads of one batch of matrices; memories by narrow."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Tensor:
    pairs, rest = divmod(d_model, 2)
    if rest:
        raise ValueError(f"d_model={d_model} is odd")
    wavelengths = torch.logspace(0, 1, pairs + 1, base=10000.0, dtype=torch.float64)[:-1]
    angles = torch.arange(length - 1, -1, -1).unsqueeze(-1).double() / wavelengths
    return torch.cat((angles.sin(), angles.cos()), -1)


def relative_shift(scores: Tensor) -> Tensor:
    L, S = scores.size(-2), scores.size(-1)
    index = torch.arange(S) + torch.arange(L - 1, -1, -1).unsqueeze(-1)  # (L, S)
    return scores.gather(-1, index.clamp(max=S - 1).expand(scores.shape))


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
        batch, length, _ = x.size()
        with torch.no_grad():
            past = x[:, :0] if memory is None else memory
        context = torch.cat([past.detach(), x], 1)
        query, key, value = self.fold(self.w_q(x)), self.fold(self.w_k(context)), self.fold(self.w_v(context))
        encoding = relative_positional_encoding(context.size(1), self.d_model).to(x.dtype)
        relative = self.fold(self.w_r(encoding).unsqueeze(0).expand(batch, -1, -1))
        u, v = (bias.repeat(batch, 1).unsqueeze(1) for bias in (self.u, self.v))
        scores = torch.bmm(query + u, key.mT) + relative_shift(torch.bmm(query + v, relative.mT))
        visible = torch.ones_like(scores, dtype=torch.bool).tril(context.size(1) - length)
        scores = torch.where(visible, scores / math.sqrt(self.head_dim), -torch.inf)
        mixed = torch.bmm(F.softmax(scores, dim=-1), value)  # (B * H, L, D)
        return self.w_o(mixed.view(batch, self.num_heads, length, self.head_dim).permute(0, 2, 1, 3).reshape(batch, length, -1))

    def fold(self, projected: Tensor) -> Tensor:
        """(B, L, E) -> (B * H, L, D)."""
        return torch.cat(projected.unsqueeze(1).chunk(self.num_heads, dim=-1), dim=1).flatten(0, 1)


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
        given = [None] * len(self.layers) if memories is None else list(memories)
        if len(given) != len(self.layers):
            raise ValueError(f"{len(given)} memories for {len(self.layers)} layers")
        for number, memory in enumerate(given):
            if memory is not None and memory.size(0) != token_ids.size(0):
                raise ValueError(f"memory {number} is for {memory.size(0)} sequences, not {token_ids.size(0)}")
        inputs = [math.sqrt(self.d_model) * F.embedding(token_ids, self.embedding.weight)]
        for layer, memory in zip(self.layers, given, strict=True):
            inputs.append(layer(inputs[-1], memory))
        logits = F.linear(inputs.pop(), self.embedding.weight)
        return logits, [self.last(memory, x) for memory, x in zip(given, inputs, strict=True)]

    @torch.no_grad()
    def last(self, memory: Tensor | None, x: Tensor) -> Tensor:
        both = x if memory is None else torch.cat((memory, x), dim=1)
        length = min(self.mem_len, both.size(1))
        return both.narrow(1, both.size(1) - length, length).clone()
