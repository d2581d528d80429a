"""Room that doubles when it is used up, a dataclass, and attention in two parts (stored, new) joined by log-sum-exp."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class KVCache:
    batch_size: int
    num_heads: int
    max_len: int
    head_dim: int
    dtype: torch.dtype = torch.float32
    device: torch.device | str | None = None
    length: int = 0
    rooms: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rooms = [self._room(1), self._room(1)]

    def _room(self, places: int) -> Tensor:
        return torch.zeros(self.batch_size, self.num_heads, places, self.head_dim, dtype=self.dtype, device=self.device)

    def update(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        want = [self.batch_size, self.num_heads, key.size(2), self.head_dim]
        for tensor in (key, value):
            if list(tensor.size()) != want:
                raise ValueError(f"shape {list(tensor.size())} instead of {want}")
        end = self.length + key.size(2)
        if end > self.max_len:
            raise ValueError(f"{end} positions in a cache for {self.max_len}")
        while self.rooms[0].size(2) < end:
            self.rooms = [torch.cat([room, torch.zeros_like(room)], dim=2) for room in self.rooms]
        for room, tensor in zip(self.rooms, (key, value), strict=True):
            room[:, :, self.length : end].copy_(tensor.detach())
        self.length = end
        return self.rooms[0].narrow(2, 0, end), self.rooms[1].narrow(2, 0, end)

    def truncate(self, length: int) -> None:
        if length < 0 or self.length < length:
            raise ValueError(f"length={length}, stored={self.length}")
        self.length = length


def part(q: Tensor, k: Tensor, v: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
    scores = q @ k.mT / math.sqrt(q.size(-1))
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    total = scores.logsumexp(dim=-1, keepdim=True)
    return (scores - total).exp() @ v, total


class CachedSelfAttention(nn.Module):
    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads != 0:
            raise ValueError(f"num_heads must be >= 1 and divide d_model, got d_model={d_model}, num_heads={num_heads}")
        self.d_model = d_model
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        B, L, _ = x.shape
        q, k, v = (layer(x).reshape(B, L, self.num_heads, self.head_dim).movedim(2, 1) for layer in (self.w_q, self.w_k, self.w_v))
        hidden = torch.ones(L, L, dtype=torch.bool, device=x.device).triu(1)
        stored = 0 if cache is None else cache.length
        if cache is not None:
            keys, values = cache.update(k, v)
        heads, total = part(q, k, v, hidden)
        if stored:
            before, total_before = part(q, keys[:, :, :stored], values[:, :, :stored])
            share = torch.sigmoid(total - total_before)
            heads = share * heads + (1 - share) * before
        return self.w_o(heads.movedim(1, 2).flatten(-2))


class CachedDecoderBlock(nn.Module):
    """GIVEN. Pre-norm, exact GELU, no dropout; assignment 05's block is post-norm with ReLU by default."""

    def __init__(self, d_model: int, num_heads: int, d_ff: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.attention = CachedSelfAttention(d_model, num_heads)
        self.norm2 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)

    def forward(self, x, cache=None):
        x = x + self.attention(self.norm1(x), cache)
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))


class CachedCausalLM(nn.Module):
    def __init__(self, vocab_size: int, d_model: int, num_heads: int, d_ff: int, num_layers: int, max_len: int) -> None:
        super().__init__()
        if min(vocab_size, num_layers, max_len) < 1:
            raise ValueError(f"vocab_size, num_layers and max_len must be >= 1, got {vocab_size}, {num_layers}, {max_len}")
        self.max_len = max_len
        self.num_heads = num_heads
        self.head_dim = d_model // max(num_heads, 1)
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.position_embedding = nn.Embedding(max_len, d_model)
        self.blocks = nn.ModuleList(CachedDecoderBlock(d_model, num_heads, d_ff) for _ in range(num_layers))
        self.norm = nn.LayerNorm(d_model)

    def new_caches(self, batch_size: int, max_len: int | None = None) -> list[KVCache]:
        def make() -> KVCache:
            return KVCache(
                batch_size,
                self.num_heads,
                max_len if max_len is not None else self.max_len,
                self.head_dim,
                self.norm.weight.dtype,
                self.norm.weight.device,
            )

        return [make() for _ in self.blocks]

    def forward(self, token_ids: Tensor, caches: list[KVCache] | None = None) -> Tensor:
        L = token_ids.size(1)
        first = caches[0].length if caches else 0
        limit = min([self.max_len] + [cache.max_len for cache in caches or ()])
        if first + L > limit:
            raise ValueError(f"{first} + {L} > {limit}")
        x = self.embedding(token_ids)
        x = x + self.position_embedding(torch.arange(first, first + L, device=x.device).expand_as(token_ids))
        for index, block in enumerate(self.blocks):
            normed = block.norm1(x)
            x = x + block.attention(normed, caches[index] if caches else None)
            x = x + block.linear2(nn.functional.gelu(block.linear1(block.norm2(x))))
        return self.norm(x) @ self.embedding.weight.mT


class Generation:
    def __init__(self, model: CachedCausalLM, prompt: Tensor, use_cache: bool) -> None:
        self.model, self.ids, self.unseen = model, prompt.clone(), prompt
        self.caches = model.new_caches(prompt.size(0)) if use_cache else None

    def step(self) -> None:
        logits = self.model(self.unseen, self.caches)
        token = torch.argmax(logits.select(1, -1), dim=-1).unsqueeze(1)
        self.ids = torch.hstack([self.ids, token])
        self.unseen = token if self.caches is not None else self.ids


def generate(model: CachedCausalLM, prompt: Tensor, max_new_tokens: int, use_cache: bool = True) -> Tensor:
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens is {max_new_tokens}")
    if max_new_tokens > model.max_len - prompt.size(1):
        raise ValueError(f"there is room for {model.max_len - prompt.size(1)} new tokens, not for {max_new_tokens}")
    before = model.training
    model.eval()
    try:
        with torch.no_grad():
            generation = Generation(model, prompt, use_cache)
            for _ in range(max_new_tokens):
                generation.step()
    finally:
        model.train(before)
    return generation.ids
