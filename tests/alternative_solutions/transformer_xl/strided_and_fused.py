"""The shift as a strided view of a copy; the position scores are the mask that F.scaled_dot_product_attention adds."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Tensor:
    if d_model & 1:
        raise ValueError(f"d_model={d_model}: need as many sines as cosines")
    inverse = 1.0 / torch.pow(torch.tensor(10000.0, dtype=torch.float64), torch.arange(0.0, d_model, 2.0, dtype=torch.float64) / d_model)
    angles = torch.outer(torch.arange(length - 1, -1, -1, dtype=torch.float64), inverse)
    return torch.cat([torch.sin(angles), torch.sin(angles + torch.pi / 2)], dim=1)


def relative_shift(scores: Tensor) -> Tensor:
    L, S = scores.shape[-2:]
    rows = scores.flatten(0, -3) if scores.dim() > 2 else scores.unsqueeze(0)
    rows = rows.clone(memory_format=torch.contiguous_format)
    return rows.as_strided((rows.size(0), L, S), (L * S, S - 1, 1), L - 1).reshape(scores.shape)


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
        L, S = x.shape[1], context.shape[1]
        query, key, value = (self.split(layer(source)) for layer, source in ((self.w_q, x), (self.w_k, context), (self.w_v, context)))
        relative = self.split(self.w_r(relative_positional_encoding(S, self.d_model).to(x))[None])
        position = relative_shift((query + self.v[:, None]) @ relative.transpose(2, 3)) / self.head_dim**0.5
        future = torch.ones(L, S, dtype=torch.bool).triu(S - L + 1)
        heads = F.scaled_dot_product_attention(query + self.u[:, None], key, value, attn_mask=position.masked_fill(future, float("-inf")))
        return self.w_o(heads.transpose(1, 2).reshape(x.shape))

    def split(self, projected: Tensor) -> Tensor:
        return projected.view(*projected.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)


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
        self.check(token_ids, memories)
        x = self.embedding(token_ids).mul(math.sqrt(self.d_model))
        kept = []
        for number, layer in enumerate(self.layers):
            old = x.new_zeros(x.shape[0], 0, x.shape[2]) if memories is None else memories[number]
            new = torch.cat([old, x], dim=1).detach()
            kept.append(new.split([max(new.shape[1] - self.mem_len, 0), min(self.mem_len, new.shape[1])], dim=1)[1])
            x = layer(x, old)
        return x.matmul(self.embedding.weight.mT), kept

    def check(self, token_ids: Tensor, memories: list[Tensor] | tuple[Tensor, ...] | None) -> None:
        if memories is None:
            return
        if len(memories) != len(self.layers):
            raise ValueError(f"wrong number of memories: {len(memories)}")
        batches = {memory.shape[0] for memory in memories}
        if batches != {token_ids.shape[0]}:
            raise ValueError(f"wrong batch of memories: {sorted(batches)}")
