"""Loops over batch, heads and queries; each query gathers its own distances, so attention never needs the shift."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Tensor:
    if d_model % 2 == 1:
        raise ValueError(f"d_model is odd: {d_model}")
    rows = []
    for k in range(length):
        distance = length - 1 - k
        angles = [distance / 10000.0 ** (2 * i / d_model) for i in range(d_model // 2)]
        rows.append([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
    return torch.tensor(rows, dtype=torch.float64)


def relative_shift(scores: Tensor) -> Tensor:
    L = scores.shape[-2]
    rows = []
    for i in range(L):
        gap = L - 1 - i
        nothing = torch.full_like(scores[..., i, :gap], float("nan"))
        rows.append(torch.cat([scores[..., i, gap:], nothing], dim=-1))
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

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        context = x if memory is None else torch.cat([memory.detach(), x], dim=1)
        M = context.shape[1] - x.shape[1]
        encodings = relative_positional_encoding(context.shape[1], self.d_model).to(x.dtype)
        relative = self.w_r(torch.flip(encodings, [0]))  # row d is distance d
        queries, keys, values = self.w_q(x), self.w_k(context), self.w_v(context)
        D = self.head_dim
        outputs = []
        for b in range(x.shape[0]):
            rows = []
            for i in range(x.shape[1]):
                heads = []
                for h in range(self.num_heads):
                    own = slice(h * D, (h + 1) * D)
                    seen = M + i + 1
                    q = queries[b, i, own]
                    content = torch.mv(keys[b, :seen, own], q + self.u[h])
                    position = torch.mv(relative[:seen, own], q + self.v[h]).flip(0)  # distance M + i first
                    weights = torch.softmax((content + position) / math.sqrt(D), dim=0)
                    heads.append(weights @ values[b, :seen, own])
                rows.append(torch.cat(heads))
            outputs.append(torch.stack(rows))
        return self.w_o(torch.stack(outputs))


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
        if memories is not None and len(memories) != len(self.layers):
            raise ValueError(f"expected {len(self.layers)} memories, got {len(memories)}")
        if memories is not None:
            for memory in memories:
                if memory.shape[0] != token_ids.shape[0]:
                    raise ValueError(f"batch of a memory is {memory.shape[0]}, of token_ids {token_ids.shape[0]}")
        x = self.embedding(token_ids) * math.sqrt(self.d_model)
        new_memories = []
        for i in range(len(self.layers)):
            positions = [x[:, j] for j in range(x.shape[1])]
            if memories is not None:
                positions = [memories[i][:, j] for j in range(memories[i].shape[1])] + positions
            positions = positions[max(len(positions) - self.mem_len, 0) :]
            new_memories.append(torch.stack(positions, dim=1).detach() if positions else x.detach()[:, :0])
            x = self.layers[i](x, memories[i] if memories is not None else None)
        return x @ self.embedding.weight.t(), new_memories
