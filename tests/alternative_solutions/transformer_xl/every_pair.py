"""An encoding for every pair of query and key, (L, S, D): no shift, four terms of the score as in the paper's equation."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Tensor:
    if d_model % 2:
        raise ValueError(f"d_model must be even but is {d_model}")
    return encode(torch.arange(length - 1, -1, -1), d_model)


def encode(distances: Tensor, d_model: int) -> Tensor:
    """(…,) integers -> (…, d_model)."""
    half = d_model // 2
    phase = distances.double()[..., None] * 10000.0 ** (torch.arange(half).double() * (-2 / d_model))
    return torch.view_as_real(torch.polar(torch.ones_like(phase), phase)).flip(-1).transpose(-1, -2).reshape(*distances.shape, d_model)


def relative_shift(scores: Tensor) -> Tensor:
    L, S = scores.shape[-2:]
    query, key = torch.meshgrid(torch.arange(L), torch.arange(S), indexing="ij")
    column = key + L - 1 - query
    return scores[..., query, column % S]


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
        length = x.shape[1]
        past = 0 if memory is None else memory.shape[1]
        context = torch.cat([memory.detach(), x], dim=1) if past else x
        distance = past + torch.arange(length)[:, None] - torch.arange(past + length)[None, :]  # (L, S)
        relative = self.w_r(encode(distance.clamp_min(0), self.d_model).to(x.dtype)).unflatten(-1, (self.num_heads, -1))  # (L, S, H, D)
        query = self.w_q(x).unflatten(-1, (self.num_heads, -1))
        key = self.w_k(context).unflatten(-1, (self.num_heads, -1))
        value = self.w_v(context).unflatten(-1, (self.num_heads, -1))
        content = torch.einsum("blhd,bshd->bhls", query, key)
        position = torch.einsum("blhd,lshd->bhls", query, relative)
        favourites = torch.einsum("hd,bshd->bhs", self.u, key)[:, :, None]
        habits = torch.einsum("hd,lshd->hls", self.v, relative)
        scores = (content + position + favourites + habits) / self.head_dim**0.5
        scores = scores.masked_fill(distance < 0, -1e9)
        weights = torch.exp(scores - torch.logsumexp(scores, dim=-1, keepdim=True))
        return self.w_o(torch.einsum("bhls,bshd->blhd", weights, value).flatten(2))


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
        count, batch = len(self.layers), token_ids.shape[0]
        if memories is not None and (len(memories) != count or not all(len(memory) == batch for memory in memories)):
            raise ValueError(f"need {count} memories with a batch of {batch}, got batches {[len(memory) for memory in memories]}")
        x = self.embedding.weight[token_ids] * math.sqrt(self.d_model)
        kept: list[Tensor] = []
        for layer, memory in zip(self.layers, memories or [None] * count, strict=True):
            past = [] if memory is None else [memory.detach()]
            seen = torch.cat([*past, x.detach()], dim=1)
            kept += [seen[:, -self.mem_len :] if self.mem_len else seen[:, :0]]
            x = layer(x, memory)
        return torch.tensordot(x, self.embedding.weight, dims=([2], [1])), kept
