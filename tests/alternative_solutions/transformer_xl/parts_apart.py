"""Memory and segment are projected and scored apart; the model uses its layers as holders of weights and never calls them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Tensor:
    if d_model % 2:
        raise ValueError(f"d_model must be even, got {d_model}")
    encoding = torch.zeros(length, d_model, dtype=torch.float64)
    for i in range(d_model // 2):
        angle = torch.arange(length, dtype=torch.float64) * 10000.0 ** (-2 * i / d_model)
        encoding[:, i] = angle.sin()
        encoding[:, d_model // 2 + i] = angle.cos()
    return encoding.flip(0)


def relative_shift(scores: Tensor) -> Tensor:
    result = torch.zeros_like(scores, memory_format=torch.contiguous_format)
    L, S = scores.shape[-2:]
    for i in range(L):
        result[..., i, : S - L + 1 + i] = scores[..., i, L - 1 - i :]
    return result


def attend(weights: RelativeMultiHeadAttention, x: Tensor, memory: Tensor | None) -> Tensor:
    L, H, D = x.shape[1], weights.num_heads, weights.head_dim
    M = 0 if memory is None else memory.shape[1]
    parts = [x] if M == 0 else [memory.detach(), x]
    encoding = relative_positional_encoding(M + L, weights.d_model).to(x)
    heads = []
    for h in range(H):
        rows = slice(h * D, (h + 1) * D)
        w_q, w_k, w_v, w_r = (layer.weight[rows] for layer in (weights.w_q, weights.w_k, weights.w_v, weights.w_r))
        query = x @ w_q.T  # (B, L, D)
        content = torch.cat([(query + weights.u[h]) @ (part @ w_k.T).mT for part in parts], dim=2)
        position = relative_shift((query + weights.v[h]) @ (encoding @ w_r.T).T)
        scores = (content + position) / math.sqrt(D)
        visible = torch.ones(L, M + L, dtype=torch.bool).tril(M)
        largest = scores.masked_fill(~visible, -math.inf).amax(dim=2, keepdim=True).detach()
        powers = torch.where(visible, scores - largest, -math.inf).exp()
        values = torch.cat([part @ w_v.T for part in parts], dim=1)
        heads.append(powers @ values / powers.sum(dim=2, keepdim=True))
    return torch.cat(heads, dim=2) @ weights.w_o.weight.T


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
        return attend(self, x, memory)


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
        if memories is not None:
            if len(memories) != len(self.layers):
                raise ValueError(f"{len(memories)} memories, but {len(self.layers)} layers")
            for index, memory in enumerate(memories):
                if memory.shape[0] != token_ids.shape[0]:
                    raise ValueError(f"memories[{index}] has a batch of {memory.shape[0]}, not {token_ids.shape[0]}")
        x = F.embedding(token_ids, self.embedding.weight * math.sqrt(self.d_model))
        kept = []
        for index, layer in enumerate(self.layers):
            old = memories[index].detach() if memories is not None else x.detach()[:, :0]
            new = x.detach()[:, max(0, x.shape[1] - self.mem_len) :]
            room = self.mem_len - new.shape[1]
            kept.append(torch.cat([old[:, max(0, old.shape[1] - room) :], new], dim=1))
            x = F.layer_norm(x + attend(layer.attention, x, old), (self.d_model,), layer.norm1.weight, layer.norm1.bias)
            inner = F.linear(F.linear(x, layer.linear1.weight, layer.linear1.bias).relu(), layer.linear2.weight, layer.linear2.bias)
            x = F.layer_norm(x + inner, (self.d_model,), layer.norm2.weight, layer.norm2.bias)
        return x @ self.embedding.weight.mT, kept
