"""Generating text without computing anything twice: a cache of keys and values (Shazeer 2019; Pope et al. 2022).

Letters in shapes: B batch, H heads, L new positions, M stored positions, S = M + L, E = d_model features, D = E / H features of one head,
V tokens in the vocabulary.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class KVCache:
    """The keys and values of all positions so far, for one attention layer: room for max_len positions, made once.

    Only update, length and truncate are used from outside; how the tensors are kept is free.
    """

    def __init__(
        self,
        batch_size: int,
        num_heads: int,
        max_len: int,
        head_dim: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        if min(batch_size, num_heads, max_len, head_dim) < 1:
            raise ValueError(f"all sizes must be >= 1, got {batch_size}, {num_heads}, {max_len}, {head_dim}")
        self.max_len = max_len
        self.keys = torch.zeros(batch_size, num_heads, max_len, head_dim, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self._length = 0

    @property
    def length(self) -> int:
        """How many positions are stored."""
        return self._length

    def update(self, key: Float[Tensor, "B H L D"], value: Float[Tensor, "B H L D"]) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Append copies of L >= 0 positions, and return the keys and values of all positions, the oldest first.

        What is returned may be a view, valid until the next update or truncate; it does not require grad. Another dtype is cast to the cache's.
        Raises ValueError, and leaves the cache as it was, when the positions do not fit (exactly full is fine) or a shape is another.
        """
        B, H, _, D = self.keys.shape
        for tensor in (key, value):
            if list(tensor.shape) != [B, H, key.shape[-2], D]:
                raise ValueError(f"({B}, {H}, n, {D}) was expected, got {tuple(key.shape)} and {tuple(value.shape)}")
        if self._length + key.shape[-2] > self.max_len:
            raise ValueError(f"max_len = {self.max_len}, stored {self._length}, new {key.shape[-2]}")
        # One list entry per position; row p of the lists is position p.
        rows = self.__dict__.setdefault("rows", [])
        del rows[self._length :]
        for k, v in zip(key.detach().unbind(2), value.detach().unbind(2)):
            rows.append((k.to(self.keys.dtype, copy=True), v.to(self.keys.dtype, copy=True)))
        self._length = len(rows)
        if not rows:
            return self.keys[:, :, :0], self.values[:, :, :0]
        keys, values = zip(*rows)
        return torch.stack(keys, dim=2), torch.stack(values, dim=2)

    def truncate(self, length: int) -> None:
        """Keep the first `length` positions: roll back. Raises ValueError unless 0 <= length <= self.length."""
        if length not in range(self._length + 1):
            raise ValueError(f"length = {length} is not among 0 ... {self._length}")
        self._length = length


class CachedSelfAttention(nn.Module):
    """Causal multi-head self-attention over what is stored and what is new."""

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

    def forward(self, x: Float[Tensor, "B L E"], cache: KVCache | None = None) -> Float[Tensor, "B L E"]:
        """Query i of the chunk sees all M stored positions and the chunk's positions j <= i. The chunk's keys and values are stored.

        Without a cache: plain causal self-attention, with ordinary gradients.
        F.scaled_dot_product_attention may be used; its is_causal aligns top-left, its mask has True for visible.
        """
        q, k, v = (torch.stack(layer(x).split(self.head_dim, dim=-1), dim=1) for layer in (self.w_q, self.w_k, self.w_v))
        before = 0
        if cache is not None:
            before = cache.length
            k, v = cache.update(k, v)
        # Query by query: number i sees the first before + i + 1 keys, so nothing has to be hidden.
        seen = []
        for i in range(x.shape[1]):
            keys, values = k[:, :, : before + i + 1], v[:, :, : before + i + 1]
            energy = torch.einsum("bhd,bhsd->bhs", q[:, :, i] / math.sqrt(self.head_dim), keys)
            share = torch.exp(energy - energy.logsumexp(dim=-1, keepdim=True))
            seen.append(torch.einsum("bhs,bhsd->bhd", share, values).flatten(1))
        return self.w_o(torch.stack(seen, dim=1))


class CachedDecoderBlock(nn.Module):
    """GIVEN. Pre-norm, exact GELU, no dropout; assignment 05's block is post-norm with ReLU by default."""

    def __init__(self, d_model: int, num_heads: int, d_ff: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.attention = CachedSelfAttention(d_model, num_heads)
        self.norm2 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)

    def forward(self, x: Float[Tensor, "B L E"], cache: KVCache | None = None) -> Float[Tensor, "B L E"]:
        x = x + self.attention(self.norm1(x), cache)
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))


class CachedCausalLM(nn.Module):
    """A decoder-only language model with learned positions and a tied head, that can go on from a cache."""

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
        """An empty cache for each layer, in the dtype and on the device of the weights; max_len None is the model's."""
        p = next(self.parameters())
        return [KVCache(batch_size, self.num_heads, max_len or self.max_len, self.head_dim, p.dtype, p.device) for _ in self.blocks]

    def forward(self, token_ids: Int[Tensor, "B L"], caches: list[KVCache] | None = None) -> Float[Tensor, "B L V"]:
        """Logits of the next token at each of the L new positions: norm(x) @ embedding.weight^T.

        Positions run on from what the caches hold, which is read before any layer stores. Raises ValueError, before any cache changes, when they
        would run past max_len.
        """
        before = caches[0].length if caches else 0
        where = before + torch.arange(token_ids.shape[1], device=token_ids.device)
        if int(where[-1]) >= self.max_len:
            raise ValueError(f"position {int(where[-1])} is past max_len = {self.max_len}")
        x = self.embedding(token_ids) + self.position_embedding(where)
        for index in range(len(self.blocks)):
            x = self.blocks[index](x, caches[index]) if caches else self.blocks[index](x)
        return torch.einsum("ble,ve->blv", self.norm(x), self.embedding.weight)


def generate(model: CachedCausalLM, prompt: Int[Tensor, "B P"], max_new_tokens: int, use_cache: bool = True) -> Int[Tensor, "B P+N"]:
    """The prompt and max_new_tokens further tokens, the likeliest each time.

    With the cache the model is fed P positions, then 1 at a time; the last token is never fed. Without it, the whole prefix each time.
    Runs in eval mode and without gradient, puts back the mode it found, and makes new caches for each call.
    Raises ValueError, with and without cache, when max_new_tokens < 0 or P + max_new_tokens > model.max_len.
    """
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens = {max_new_tokens} is negative")
    if prompt.shape[1] + max_new_tokens > model.max_len:
        raise ValueError(f"prompt {prompt.shape[1]} + max_new_tokens {max_new_tokens} > max_len {model.max_len}")
    modes = {part: part.training for part in model.modules()}
    model.eval()
    stream = _stream(model, prompt, use_cache)
    tokens = [next(stream) for _ in range(max_new_tokens)]
    for part, mode in modes.items():
        part.training = mode
    return torch.cat([prompt, *tokens], dim=1)


def _stream(model, text, use_cache):
    """Endless: each next() is one call of the model and one more token, (B, 1)."""
    caches = model.new_caches(len(text)) if use_cache else None
    feed = text
    while True:
        with torch.no_grad():
            token = model(feed, caches)[:, -1:].max(dim=-1).indices
        feed = token if use_cache else torch.cat([feed, token], dim=1)
        yield token
