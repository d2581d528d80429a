from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Float[Tensor, "length d_model"]:
    if d_model % 2 == 1:
        raise ValueError("d_model must be even but is " + str(d_model))
    pos = torch.arange(length - 1, -1, -1, dtype=torch.float64)
    freq = 1 / (10000 ** (torch.arange(0.0, d_model, 2.0, dtype=torch.float64) / d_model))
    sinusoid = pos[:, None] * freq[None, :]
    return torch.cat([sinusoid.sin(), sinusoid.cos()], dim=-1)


def relative_shift(scores: Float[Tensor, "*batch L S"]) -> Float[Tensor, "*batch L S"]:
    batch = scores.shape[:-2]
    L, S = scores.shape[-2], scores.shape[-1]
    padded = F.pad(scores, (1, 0)).reshape(*batch, S + 1, L)
    return padded[..., 1:, :].reshape(*batch, L, S)


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
        B, L, E = x.shape
        H, D = self.num_heads, self.head_dim
        cat = x
        if memory is not None:
            cat = torch.cat([memory.detach(), x], dim=1)
        S = cat.shape[1]
        q = self.w_q(x).reshape(B, L, H, D)
        k = self.w_k(cat).reshape(B, S, H, D)
        val = self.w_v(cat).reshape(B, S, H, D)
        r = self.w_r(relative_positional_encoding(S, E).to(x)).reshape(S, H, D)
        AC = torch.einsum("bihd,bjhd->bhij", q + self.u, k)
        BD = torch.einsum("bihd,jhd->bhij", q + self.v, r)
        BD = relative_shift(BD)
        score = (AC + BD) / D ** 0.5
        mask = torch.ones(L, S, dtype=torch.bool, device=x.device).triu(diagonal=S - L + 1)
        score = score.masked_fill(mask, float("-inf"))
        prob = score.softmax(dim=-1)
        out = torch.einsum("bhij,bjhd->bihd", prob, val)
        return self.w_o(out.reshape(B, L, E))


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
        B = token_ids.shape[0]
        if memories is not None:
            if len(memories) != len(self.layers):
                raise ValueError(f"need {len(self.layers)} memories, got {len(memories)}")
            for m in memories:
                if m.shape[0] != B:
                    raise ValueError(f"memory has batch {m.shape[0]}, tokens have batch {B}")
        h = self.embedding(token_ids) * math.sqrt(self.d_model)
        new_mems = []
        for i, layer in enumerate(self.layers):
            mem = memories[i] if memories is not None else None
            cat = torch.cat([mem, h], dim=1) if mem is not None else h
            new_mems.append(cat[:, -self.mem_len:].detach())
            h = layer(h, mem)
        logits = h @ self.embedding.weight.t()
        return logits, new_mems
