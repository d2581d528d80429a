# Bruno Carvalho, HW10
from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Float[Tensor, "length d_model"]:
    if d_model % 2 == 1:
        raise ValueError(f"d_model={d_model} is odd")
    n = torch.arange(length - 1, -1, -1, dtype=torch.float64).view(-1, 1)
    f = 1.0 / 10000.0 ** (torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    return torch.hstack([torch.sin(n * f), torch.cos(n * f)])


def relative_shift(scores: Float[Tensor, "*batch L S"]) -> Float[Tensor, "*batch L S"]:
    L, S = scores.shape[-2:]
    src = torch.arange(S) + torch.arange(L - 1, -1, -1).unsqueeze(1)   # where cell (i, j) comes from
    src = src.clamp(max=S - 1).to(scores.device)                       # past the end: nobody looks there
    return torch.gather(scores, -1, src.expand(scores.shape))


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

    def forward(self, x: Float[Tensor, "B L E"], memory: Float[Tensor, "B M E"] | None = None) -> Float[Tensor, "B L E"]:
        L = x.shape[1]
        if memory is not None:
            ctx = torch.cat((memory.detach(), x), dim=1)
        else:
            ctx = x
        S = ctx.shape[1]

        def heads(t):
            return t.unflatten(-1, (self.num_heads, self.head_dim)).transpose(-3, -2)

        q, k, val = heads(self.w_q(x)), heads(self.w_k(ctx)), heads(self.w_v(ctx))
        r = heads(self.w_r(relative_positional_encoding(S, self.d_model).to(x)))
        bd = relative_shift((q + self.v[:, None]) @ r.mT) / math.sqrt(self.head_dim)
        bd = bd.masked_fill(torch.ones(L, S, dtype=torch.bool, device=x.device).triu(S - L + 1), -math.inf)
        # sdpa adds a float mask to its (scaled) scores, so the position term can go in there
        out = F.scaled_dot_product_attention(q + self.u[:, None], k, val, attn_mask=bd)
        return self.w_o(out.transpose(1, 2).flatten(2))


class TransformerXLLayer(nn.Module):

    def __init__(self, d_model: int, num_heads: int, d_ff: int) -> None:
        super().__init__()
        self.attention = RelativeMultiHeadAttention(d_model, num_heads)
        self.norm1 = nn.LayerNorm(d_model)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm2 = nn.LayerNorm(d_model)

    def forward(self, x: Float[Tensor, "B L E"], memory: Float[Tensor, "B M E"] | None = None) -> Float[Tensor, "B L E"]:
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

    def forward(
        self, token_ids: Int[Tensor, "B L"], memories: Sequence[Float[Tensor, "B M E"]] | None = None
    ) -> tuple[Float[Tensor, "B L V"], list[Float[Tensor, "B M E"]]]:
        n = len(self.layers)
        B = token_ids.shape[0]
        x = self.embedding(token_ids) * self.d_model**0.5
        if memories is None:
            memories = [x.new_zeros(B, 0, self.d_model)] * n
        if len(memories) != n:
            raise ValueError(f"{len(memories)} memories given, need {n}")
        if any(m.shape[0] != B for m in memories):
            raise ValueError(f"memories with batch {[m.shape[0] for m in memories]}, token_ids with {B}")
        new = []
        for layer, mem in zip(self.layers, memories):
            cat = torch.cat([mem, x], dim=1).detach()
            keep = min(self.mem_len, cat.shape[1])
            new.append(cat[:, cat.shape[1] - keep:])
            x = layer(x, mem)
        return x @ self.embedding.weight.T, new
