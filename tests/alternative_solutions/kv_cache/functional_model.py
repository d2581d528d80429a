"""The model never calls a block or a layer: all of it is written as functions of the weights. Attention in float32 or better, by baddbmm."""

import torch
import torch.nn.functional as F
from torch import nn


class KVCache:
    def __init__(self, batch_size, num_heads, max_len, head_dim, dtype=torch.float32, device=None):
        shape = (batch_size, num_heads, max_len, head_dim)
        self._k = torch.full(shape, float("nan"), dtype=dtype, device=device)  # what is read before it is written shows
        self._v = torch.full(shape, float("nan"), dtype=dtype, device=device)
        self._used = torch.zeros(max_len, dtype=torch.bool)

    def __len__(self):
        return int(self._used.sum())

    @property
    def length(self):
        return len(self)

    @torch.no_grad()
    def update(self, key, value):
        B, H, room, D = self._k.shape
        for name, given in {"key": key, "value": value}.items():
            for axis, size, letter in ((0, B, "batch"), (1, H, "heads"), (3, D, "features")):
                if given.shape[axis] != size:
                    raise ValueError(f"{name} has {given.shape[axis]} {letter}, not {size}")
        if key.shape[2] - value.shape[2]:
            raise ValueError(f"unequal: {key.shape[2]} keys, {value.shape[2]} values")
        start = len(self)
        stop = start + key.shape[2]
        if stop > room:
            raise ValueError(f"overflow: {stop} > {room}")
        index = torch.arange(start, stop, device=self._k.device)
        self._k.index_copy_(2, index, key.to(self._k.dtype))
        self._v.index_copy_(2, index, value.to(self._v.dtype))
        self._used[start:stop] = True
        return self._k[:, :, :stop].clone(), self._v[:, :, :stop].clone()

    def truncate(self, length):
        if length > len(self) or length < 0:
            raise ValueError(f"{length} is outside 0 ... {len(self)}")
        self._used[length:] = False


def attend(p, prefix, x, H, cache):
    B, L, E = x.shape
    project = lambda name: F.linear(x, p[f"{prefix}{name}.weight"], p[f"{prefix}{name}.bias"]).view(B, L, H, E // H).transpose(1, 2)
    q, k, v = project("w_q"), project("w_k"), project("w_v")
    if cache is not None:
        k, v = cache.update(k, v)
    work = torch.promote_types(x.dtype, torch.float32)
    S = k.shape[2]
    q, k, v = (t.to(work).reshape(B * H, -1, E // H) for t in (q, k, v))
    mask = torch.full((L, S), float("-inf"), dtype=work, device=x.device).triu(S - L + 1)
    weights = torch.baddbmm(mask.expand(B * H, L, S), q, k.mT, alpha=(E // H) ** -0.5).softmax(-1)
    heads = torch.bmm(weights, v).view(B, H, L, -1).transpose(1, 2).reshape(B, L, E).to(x.dtype)
    return F.linear(heads, p[f"{prefix}w_o.weight"], p[f"{prefix}w_o.bias"])


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
        return attend(dict(self.named_parameters()), "", x, self.num_heads, cache)


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
        like = self.embedding.weight
        room = {None: self.max_len}.get(max_len, max_len)
        return [KVCache(batch_size, self.num_heads, room, self.head_dim, like.dtype, like.device) for _ in self.blocks]

    def forward(self, token_ids, caches=None):
        p = dict(self.named_parameters())
        E = p["embedding.weight"].shape[1]
        norm = lambda name, x: F.layer_norm(x, (E,), p[f"{name}.weight"], p[f"{name}.bias"])
        linear = lambda name, x: F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])
        past = 0 if caches is None else len(caches[0])
        if past + token_ids.shape[1] > len(p["position_embedding.weight"]):
            raise ValueError(f"{past} + {token_ids.shape[1]} positions")
        x = F.embedding(token_ids, p["embedding.weight"]) + p["position_embedding.weight"].narrow(0, past, token_ids.shape[1])
        for i in range(len(self.blocks)):
            block = f"blocks.{i}"
            x = x + attend(p, f"{block}.attention.", norm(f"{block}.norm1", x), self.num_heads, caches[i] if caches is not None else None)
            x = x + linear(f"{block}.linear2", F.gelu(linear(f"{block}.linear1", norm(f"{block}.norm2", x))))
        return F.linear(norm("norm", x), p["embedding.weight"])


def generate(model, prompt, max_new_tokens, use_cache=True):
    total = prompt.shape[1] + max_new_tokens
    if max_new_tokens < 0 or total > model.max_len:
        raise ValueError(f"max_new_tokens={max_new_tokens} with a prompt of {prompt.shape[1]} and max_len={model.max_len}")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    ids = prompt
    with torch.no_grad():
        caches = model.new_caches(len(ids)) if use_cache else None
        while ids.shape[1] < total:
            logits = model(ids[:, len(caches[0]) :] if use_cache else ids, caches)
            ids = torch.cat([ids, logits[:, -1].sort(dim=-1, descending=True).indices[:, :1]], dim=1)
    for module, mode in modes:
        module.training = mode
    return ids.clone()
