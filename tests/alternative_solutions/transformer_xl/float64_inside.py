"""Attention is computed in float64 and rounded at the end; the public encoding is float32, attention uses one of its own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Tensor:
    return precise_encoding(length, d_model).float()


def precise_encoding(length: int, d_model: int) -> Tensor:
    if d_model % 2 != 0:
        raise ValueError(f"an odd d_model cannot be halved: {d_model}")
    angles = torch.arange(length).flip(0).double().view(-1, 1) * torch.pow(10000.0, -torch.arange(0, d_model, 2).double() / d_model)
    return torch.cat((torch.sin(angles), torch.cos(angles)), dim=1)


def relative_shift(scores: Tensor) -> Tensor:
    L, S = scores.shape[-2:]
    flat = scores.reshape(*scores.shape[:-2], L * S)
    # Row i of the result starts at i * (S - 1) + L - 1.
    return torch.stack([flat[..., i * (S - 1) + L - 1 : i * (S - 1) + L - 1 + S] for i in range(L)], dim=-2)


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
        segment = x.double()
        context = segment if memory is None else torch.cat([memory.detach().double(), segment], dim=1)
        L, S = segment.size(1), context.size(1)
        q, k, v, r = (
            self.project(source, layer)
            for source, layer in (
                (segment, self.w_q),
                (context, self.w_k),
                (context, self.w_v),
                (precise_encoding(S, self.d_model)[None], self.w_r),
            )
        )
        position = relative_shift(torch.matmul(q + self.v.double()[:, None], r.transpose(-1, -2)))
        scores = torch.baddbmm(position.flatten(0, 1), (q + self.u.double()[:, None]).flatten(0, 1), k.flatten(0, 1).transpose(1, 2)).view_as(
            position
        )
        scores = scores.div(self.head_dim**0.5).masked_fill(~torch.ones(L, S, dtype=torch.bool).tril(S - L), -1e4)
        scores = scores - scores.max(dim=-1, keepdim=True).values
        weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
        joined = torch.matmul(weights, v).permute(0, 2, 1, 3).flatten(2)
        return F.linear(joined, self.w_o.weight.double()).to(x.dtype)

    def project(self, source: Tensor, layer: nn.Linear) -> Tensor:
        projected = F.linear(source, layer.weight.double())
        return torch.stack(projected.split(self.head_dim, dim=-1), dim=1)


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
        memories = self.complete(token_ids, memories)
        x = math.sqrt(self.d_model) * self.embedding(token_ids)
        kept = []
        for layer, memory in zip(self.layers, memories, strict=True):
            kept.append(torch.cat([memory, x.detach()], dim=1).flip(1)[:, : self.mem_len].flip(1))
            x = layer(x, memory if memory.size(1) else None)
        return x @ self.embedding.weight.T, kept

    def complete(self, token_ids: Tensor, memories: list[Tensor] | tuple[Tensor, ...] | None) -> list[Tensor]:
        if memories is None:
            return [torch.empty(token_ids.size(0), 0, self.d_model, dtype=self.embedding.weight.dtype) for _ in self.layers]
        if len(memories) != len(self.layers):
            raise ValueError(f"one memory for each of {len(self.layers)} layers, not {len(memories)}")
        for memory in memories:
            if memory.size(0) != token_ids.size(0):
                raise ValueError(f"memory of batch {memory.size(0)} for tokens of batch {token_ids.size(0)}")
        return [memory.detach() for memory in memories]
