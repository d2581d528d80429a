"""A cache is filled and read one position after the other, so that there is never a mask; loops over heads."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class KVCache:
    def __init__(self, batch_size, num_heads, max_len, head_dim, dtype=torch.float32, device=None):
        self.room = max_len
        self.shape = (batch_size, num_heads, head_dim)
        self.dtype, self.device = dtype, device
        self.positions = []  # pairs of (B, H, D)

    @property
    def length(self):
        return len(self.positions)

    def check_room(self, n):
        if len(self.positions) + n > self.room:
            raise ValueError(f"{len(self.positions)} positions and {n} more are too many for {self.room}")

    def update(self, key, value):
        B, H, D = self.shape
        for tensor in (key, value):
            if tensor.shape[:2] != (B, H) or tensor.shape[3:] != (D,):
                raise ValueError(f"the cache holds {B} sequences, {H} heads, {D} features; got {tuple(tensor.shape)}")
        if key.shape[2] != value.shape[2]:
            raise ValueError(f"{key.shape[2]} keys and {value.shape[2]} values")
        self.check_room(key.shape[2])
        for i in range(key.shape[2]):
            self.positions.append(tuple(tensor[:, :, i].detach().to(self.dtype, copy=True) for tensor in (key, value)))
        if not self.positions:
            nothing = torch.zeros(B, H, 0, D, dtype=self.dtype, device=self.device)
            return nothing, nothing
        return tuple(torch.stack(tensors, dim=2) for tensors in zip(*self.positions, strict=True))

    def truncate(self, length):
        if length < 0 or length > self.length:
            raise ValueError(f"cannot go back to {length} from {self.length}")
        del self.positions[length:]


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

    def attend(self, q, k, v):
        """One query (B, E) over keys and values (B, H, S, D)."""
        heads = []
        for h, query in enumerate(q.split(self.head_dim, dim=-1)):
            scores = (k[:, h] * query[:, None]).sum(-1) / math.sqrt(self.head_dim)
            weights = (scores - scores.amax(-1, keepdim=True)).exp()
            heads.append((weights[..., None] * v[:, h]).sum(1) / weights.sum(-1, keepdim=True))
        return self.w_o(torch.cat(heads, dim=-1))

    def forward(self, x, cache=None):
        q, k, v = self.w_q(x), self.w_k(x), self.w_v(x)
        k, v = (t.view(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2) for t in (k, v))
        if cache is not None:
            cache.check_room(x.shape[1])
        rows = []
        for i in range(x.shape[1]):
            keys, values = (k[:, :, : i + 1], v[:, :, : i + 1]) if cache is None else cache.update(k[:, :, i : i + 1], v[:, :, i : i + 1])
            rows.append(self.attend(q[:, i], keys, values))
        return torch.stack(rows, dim=1)


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

    def new_caches(self, batch_size, max_len=None):
        w = self.norm.weight
        return [
            KVCache(batch_size, self.num_heads, self.max_len if max_len is None else max_len, self.head_dim, w.dtype, w.device) for _ in self.blocks
        ]

    def forward(self, token_ids, caches=None):
        start = 0
        if caches is not None:
            start = caches[0].length
            for cache in caches:
                cache.check_room(token_ids.shape[1])
        if start + token_ids.shape[1] > self.max_len:
            raise ValueError(f"positions up to {start + token_ids.shape[1]} do not fit into {self.max_len}")
        x = torch.stack(
            [self.embedding.weight[token_ids[:, i]] + self.position_embedding.weight[start + i] for i in range(token_ids.shape[1])], dim=1
        )
        for i, block in enumerate(self.blocks):
            x = block(x) if caches is None else block(x, cache=caches[i])
        return self.norm(x) @ self.embedding.weight.t()


def generate(model, prompt, max_new_tokens, use_cache=True):
    if max_new_tokens < 0 or prompt.shape[1] + max_new_tokens > model.max_len:
        raise ValueError(f"prompt of {prompt.shape[1]}, {max_new_tokens} new tokens, max_len {model.max_len}")
    found = model.training
    try:
        return _extend(model.eval(), prompt, max_new_tokens, model.new_caches(len(prompt)) if use_cache else None)
    finally:
        model.train(found)


@torch.no_grad()
def _extend(model, ids, left, caches):
    """Calls itself for each further token."""
    if left == 0:
        return ids.clone()
    seen = caches[0].length if caches else 0
    best = model(ids[:, seen:], caches)[:, -1:].max(dim=-1).indices
    return _extend(model, torch.cat([ids, best], dim=1), left - 1, caches)
