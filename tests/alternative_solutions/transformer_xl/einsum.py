"""Einsum with named dimensions throughout; the future is hidden by an additive mask of the dtype's lowest number."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Tensor:
    if d_model % 2:
        raise ValueError(f"no odd d_model: {d_model}")
    frequencies = torch.exp(torch.arange(d_model // 2, dtype=torch.float64) * (-2 * math.log(10000.0) / d_model))
    angles = torch.einsum("k,f->kf", torch.arange(length, dtype=torch.float64).flip(0), frequencies)
    return torch.hstack((torch.sin(angles), torch.cos(angles)))


def relative_shift(scores: Tensor) -> Tensor:
    L, S = scores.shape[-2:]
    zeros = scores.new_zeros(*scores.shape[:-1], 1)
    padded = torch.cat((zeros, scores), dim=-1).reshape(*scores.shape[:-2], S + 1, L)
    return padded[..., 1:, :].reshape(scores.shape)


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
        keys_from = x if memory is None else torch.cat((memory.detach(), x), dim=1)
        B, L, _ = x.shape
        S, H, D = keys_from.shape[1], self.num_heads, self.head_dim
        query = self.w_q(x).view(B, L, H, D)
        key = self.w_k(keys_from).view(B, S, H, D)
        value = self.w_v(keys_from).view(B, S, H, D)
        relative = self.w_r(relative_positional_encoding(S, self.d_model).to(x)).view(S, H, D)
        content = torch.einsum("blhd,bshd->bhls", query + self.u, key)
        position = torch.einsum("blhd,shd->bhls", query + self.v, relative)
        hidden = torch.arange(S)[None, :] > torch.arange(L)[:, None] + (S - L)
        bias = torch.zeros(L, S, dtype=x.dtype).masked_fill(hidden, torch.finfo(x.dtype).min / 2)
        weights = ((content + relative_shift(position)) * D**-0.5 + bias).softmax(-1)
        return self.w_o(torch.einsum("bhls,bshd->blhd", weights, value).reshape(B, L, H * D))


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
            memories = [self.embedding.weight.new_empty(token_ids.shape[0], 0, self.d_model)] * len(self.layers)
        if len(memories) != len(self.layers) or any(memory.shape[0] != token_ids.shape[0] for memory in memories):
            raise ValueError(f"memories do not fit: {[list(memory.shape) for memory in memories]} for tokens {list(token_ids.shape)}")
        hidden = self.embedding(token_ids) * self.d_model**0.5
        kept = []
        for layer, memory in zip(self.layers, memories, strict=True):
            everything = torch.cat((memory, hidden), dim=1).detach()
            kept.append(everything[:, everything.shape[1] - min(self.mem_len, everything.shape[1]) :])
            hidden = layer(hidden, memory)
        return torch.einsum("ble,ve->blv", hidden, self.embedding.weight), kept
