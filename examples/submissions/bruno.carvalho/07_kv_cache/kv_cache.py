# Bruno Carvalho, HW7
from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class KVCache:
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
        return self._length

    def update(self, key: Float[Tensor, "B H L D"], value: Float[Tensor, "B H L D"]) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        B, H, M, D = self.keys.shape
        n = key.shape[2] if key.dim() == 4 else -1
        if tuple(key.shape) != (B, H, n, D) or tuple(value.shape) != (B, H, n, D):
            raise ValueError(f"key {tuple(key.shape)} / value {tuple(value.shape)}: need both ({B}, {H}, n, {D})")
        a, b = self._length, self._length + n
        if b > M:
            raise ValueError(f"full: {a} + {n} > {M}")
        with torch.no_grad():
            self.keys[:, :, a:b].copy_(key)
            self.values[:, :, a:b].copy_(value)
        self._length = b
        return self.keys[:, :, :b], self.values[:, :, :b]

    def truncate(self, length: int) -> None:
        if not (0 <= length <= self._length):
            raise ValueError(f"truncate({length}) with {self._length} stored")
        self._length = length


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

    def forward(self, x: Float[Tensor, "B L E"], cache: KVCache | None = None) -> Float[Tensor, "B L E"]:
        B, L, E = x.shape
        q, k, v = [w(x).view(B, L, self.num_heads, -1).transpose(1, 2) for w in (self.w_q, self.w_k, self.w_v)]
        if cache is None:
            o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            k, v = cache.update(k, v)
            S = k.shape[2]
            # sdpa: True = visible!
            see = torch.arange(S, device=x.device) <= torch.arange(S - L, S, device=x.device).unsqueeze(1)
            o = F.scaled_dot_product_attention(q, k, v, attn_mask=see)
        return self.w_o(o.transpose(1, 2).reshape(B, L, E))


class CachedDecoderBlock(nn.Module):
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
        if max_len is None:
            max_len = self.max_len
        w = self.norm.weight
        return [KVCache(batch_size, self.num_heads, max_len, self.head_dim, w.dtype, w.device) for _ in range(len(self.blocks))]

    def forward(self, token_ids: Int[Tensor, "B L"], caches: list[KVCache] | None = None) -> Float[Tensor, "B L V"]:
        p = 0 if caches is None else caches[0].length
        L = token_ids.shape[1]
        if p + L > self.max_len:
            raise ValueError(f"{p} + {L} > max_len {self.max_len}")
        h = self.embedding(token_ids) + self.position_embedding.weight[p : p + L]
        for block, cache in zip(self.blocks, [None] * len(self.blocks) if caches is None else caches):
            h = block(h, cache)
        return F.linear(self.norm(h), self.embedding.weight)


def generate(model: CachedCausalLM, prompt: Int[Tensor, "B P"], max_new_tokens: int, use_cache: bool = True) -> Int[Tensor, "B P+N"]:
    B, P = prompt.shape
    if max_new_tokens < 0 or P + max_new_tokens > model.max_len:
        raise ValueError(f"max_new_tokens={max_new_tokens}: need >= 0 and P={P} + max_new_tokens <= max_len={model.max_len}")
    out = torch.empty(B, P + max_new_tokens, dtype=prompt.dtype, device=prompt.device)
    out[:, :P] = prompt
    mode = model.training
    model.eval()
    with torch.inference_mode():
        caches = model.new_caches(B, max(1, P + max_new_tokens)) if use_cache else None
        begin = 0
        for t in range(P, P + max_new_tokens):
            out[:, t] = model(out[:, begin:t], caches)[:, -1].argmax(-1)
            if use_cache:
                begin = t
    model.train(mode)
    return out
