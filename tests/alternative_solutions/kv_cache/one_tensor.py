"""Keys and values in one tensor, positions first; attention over all places of the cache, full or not, with a mask."""

import torch
import torch.nn.functional as F
from torch import nn


class KVCache:
    def __init__(self, batch_size, num_heads, max_len, head_dim, dtype=torch.float32, device=None):
        self.store = torch.zeros(max_len, 2, batch_size, num_heads, head_dim, dtype=dtype, device=device)
        self.length = 0

    def write(self, key, value):
        """Store, and return where the new positions are."""
        max_len, _, B, H, D = self.store.shape
        if key.shape != (B, H, key.shape[2], D) or value.shape != key.shape:
            raise ValueError(f"need two tensors of ({B}, {H}, n, {D}), got {tuple(key.shape)} and {tuple(value.shape)}")
        begin, end = self.length, self.length + key.shape[2]
        if end > max_len:
            raise ValueError(f"position {end - 1} does not fit into {max_len} places")
        self.store[begin:end, 0] = key.detach().permute(2, 0, 1, 3)
        self.store[begin:end, 1] = value.detach().permute(2, 0, 1, 3)
        self.length = end
        return begin, end

    def everything(self):
        both = self.store.permute(1, 2, 3, 0, 4)
        return both[0], both[1]

    def update(self, key, value):
        self.write(key, value)
        keys, values = self.everything()
        return keys[:, :, : self.length], values[:, :, : self.length]

    def truncate(self, length):
        if length < 0:
            raise ValueError(f"length is negative: {length}")
        if length > self.length:
            raise ValueError(f"only {self.length} positions are stored, not {length}")
        self.length = length


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

    def forward(self, x, cache=None):
        B, L, _ = x.shape
        weight = torch.cat([self.w_q.weight, self.w_k.weight, self.w_v.weight])
        bias = torch.cat([self.w_q.bias, self.w_k.bias, self.w_v.bias])
        q, k, v = F.linear(x, weight, bias).view(B, L, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        begin = 0
        if cache is not None:
            begin, _ = cache.write(k, v)
            k, v = cache.everything()
        row = torch.arange(begin, begin + L, device=x.device)
        visible = row[:, None] >= torch.arange(k.shape[2], device=x.device)
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        return self.w_o(heads.permute(0, 2, 1, 3).reshape(B, L, self.d_model))


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
        if max_len is None:
            max_len = self.max_len
        table = self.position_embedding.weight
        return [KVCache(batch_size, self.num_heads, max_len, self.head_dim, dtype=table.dtype, device=table.device) for _ in self.blocks]

    def forward(self, token_ids, caches=None):
        lengths = [0] if caches is None else [cache.length for cache in caches]
        last = lengths[0] + token_ids.size(1)
        if last > self.max_len:
            raise ValueError(f"the sequence would be {last} long; max_len is {self.max_len}")
        x = self.embedding(token_ids) + self.position_embedding.weight[lengths[0] : last].unsqueeze(0)
        for number, block in enumerate(self.blocks):
            x = block(x, caches[number] if caches is not None else None)
        return torch.matmul(self.norm(x), self.embedding.weight.transpose(0, 1))


def generate(model, prompt, max_new_tokens, use_cache=True):
    if max_new_tokens < 0:
        raise ValueError("max_new_tokens must not be negative: " + str(max_new_tokens))
    if prompt.size(1) + max_new_tokens > model.max_len:
        raise ValueError("too many tokens: " + str(prompt.size(1) + max_new_tokens))
    was_training = model.training
    model.train(False)
    with torch.no_grad():
        tokens = list(prompt.unbind(dim=1))
        if use_cache:
            caches = model.new_caches(prompt.size(0))
            fresh = prompt
            for _ in range(max_new_tokens):
                tokens.append(model(fresh, caches)[:, -1].argmax(dim=1))
                fresh = tokens[-1][:, None]
        else:
            for _ in range(max_new_tokens):
                tokens.append(model(torch.stack(tokens, dim=1))[:, -1].argmax(dim=1))
    model.train(was_training)
    return torch.stack(tokens, dim=1)
