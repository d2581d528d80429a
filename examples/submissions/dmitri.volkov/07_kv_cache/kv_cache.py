"""Generating text without computing anything twice: a cache of keys and values (Shazeer 2019; Pope et al. 2022).

Letters in shapes: B batch, H heads, L new positions, M stored positions, S = M + L, E = d_model features, D = E / H features of one head,
V tokens in the vocabulary.
"""

from __future__ import annotations

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
        self._k, self._v = self.keys[:, :, :0], self.values[:, :, :0]
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
        expected = (self.keys.shape[0], self.keys.shape[1], self.keys.shape[3])
        for name, tensor in (("key", key), ("value", value)):
            if tensor.ndim != 4 or (tensor.shape[0], tensor.shape[1], tensor.shape[3]) != expected:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}, but batch, heads and head_dim of this cache are {expected}")
        new = key.shape[2]
        if value.shape[2] != new:
            raise ValueError(f"key has {new} positions and value has {value.shape[2]}")
        if self._length + new > self.max_len:
            raise ValueError(f"{new} more positions do not fit: {self._length} of max_len={self.max_len} are taken")
        key, value = key.detach().to(self.keys.dtype), value.detach().to(self.values.dtype)
        if self._length == 0:  # nothing to join with
            self._k, self._v = key, value
        else:
            self._k = torch.cat([self._k, key], dim=2)
            self._v = torch.cat([self._v, value], dim=2)
        self._length += new
        return self._k, self._v

    def truncate(self, length: int) -> None:
        """Keep the first `length` positions: roll back. Raises ValueError unless 0 <= length <= self.length."""
        if length < 0 or length > self._length:
            raise ValueError(f"cannot keep length={length} positions of {self._length}")
        if self._length:
            self._k, self._v = self._k[:, :, :length], self._v[:, :, :length]
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
        batch, new, _ = x.shape

        def heads(projected: Tensor) -> Tensor:
            return projected.view(batch, new, self.num_heads, self.head_dim).transpose(1, 2)

        query, key, value = heads(self.w_q(x)), heads(self.w_k(x)), heads(self.w_v(x))  # (B, H, L, D)
        stored = 0
        if cache is not None:
            stored = cache.length
            key, value = cache.update(key, value)  # (B, H, S, D)
        hidden = torch.ones(new, stored + new, dtype=torch.bool, device=x.device).triu(stored + 1)  # True = hidden
        scores = query @ key.transpose(-2, -1) / self.head_dim**0.5  # (B, H, L, S)
        weights = scores.masked_fill(hidden, float("-inf")).softmax(dim=-1)
        return self.w_o((weights @ value).transpose(1, 2).reshape(x.shape))


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
        weight = self.embedding.weight
        room = self.max_len if max_len is None else max_len
        return [KVCache(batch_size, self.num_heads, room, self.head_dim, dtype=weight.dtype, device=weight.device) for _ in self.blocks]

    def forward(self, token_ids: Int[Tensor, "B L"], caches: list[KVCache] | None = None) -> Float[Tensor, "B L V"]:
        """Logits of the next token at each of the L new positions: norm(x) @ embedding.weight^T.

        Positions run on from what the caches hold, which is read before any layer stores. Raises ValueError, before any cache changes, when they
        would run past max_len.
        """
        stored = caches[0].length if caches is not None else 0
        new = token_ids.shape[1]
        if stored + new > self.max_len:
            raise ValueError(f"{new} tokens after {stored} do not fit into max_len={self.max_len}")
        positions = torch.arange(stored, stored + new, device=token_ids.device)
        x = self.embedding(token_ids) + self.position_embedding(positions)  # (B, L, E)
        for layer, block in enumerate(self.blocks):
            x = block(x, None if caches is None else caches[layer])
        return self.norm(x) @ self.embedding.weight.T


def generate(model: CachedCausalLM, prompt: Int[Tensor, "B P"], max_new_tokens: int, use_cache: bool = True) -> Int[Tensor, "B P+N"]:
    """The prompt and max_new_tokens further tokens, the likeliest each time.

    With the cache the model is fed P positions, then 1 at a time; the last token is never fed. Without it, the whole prefix each time.
    Runs in eval mode and without gradient, puts back the mode it found, and makes new caches for each call.
    Raises ValueError, with and without cache, when max_new_tokens < 0 or P + max_new_tokens > model.max_len.
    """
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must not be negative, got {max_new_tokens}")
    if prompt.shape[1] + max_new_tokens > model.max_len:
        raise ValueError(f"a prompt of {prompt.shape[1]} and {max_new_tokens} new tokens do not fit into max_len={model.max_len}")
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            text = prompt.clone()
            feed = text
            caches = model.new_caches(prompt.shape[0]) if use_cache else None
            for _ in range(max_new_tokens):
                following = model(feed, caches)[:, -1].argmax(dim=-1, keepdim=True)  # (B, 1)
                text = torch.cat([text, following], dim=1)
                feed = following if use_cache else text
            return text
    finally:
        model.train(training)
