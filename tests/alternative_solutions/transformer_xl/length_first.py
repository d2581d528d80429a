"""The paper's layout: (L, B, H, D) inside, scores (L, S, B, H), shifted where they are; memory and segment projected together."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Tensor:
    if d_model % 2 != 0:
        raise ValueError(f"expected an even d_model, not {d_model}")
    position = torch.arange(length - 1, -1, -1.0, dtype=torch.float64)
    inv_freq = 1 / (10000 ** (torch.arange(0.0, d_model, 2.0, dtype=torch.float64) / d_model))
    sinusoid = torch.ger(position, inv_freq)
    return torch.cat([sinusoid.sin(), sinusoid.cos()], dim=-1)


def relative_shift(scores: Tensor) -> Tensor:
    """Last two dimensions first, as the paper's code has them, and back."""
    lead = scores.shape[:-2]
    return shift_first(scores.reshape(-1, *scores.shape[-2:]).permute(1, 2, 0)).permute(2, 0, 1).reshape(*lead, *scores.shape[-2:])


def shift_first(x: Tensor) -> Tensor:
    """(L, S, …): from columns by distance to columns by key."""
    zero_pad = torch.zeros((x.size(0), 1, *x.size()[2:]), device=x.device, dtype=x.dtype)
    x_padded = torch.cat([zero_pad, x], dim=1)
    x_padded = x_padded.view(x.size(1) + 1, x.size(0), *x.size()[2:])
    return x_padded[1:].view(x.size()) if x_padded[1:].is_contiguous() else x_padded[1:].reshape(x.size())


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
        w = x.transpose(0, 1)  # (L, B, E)
        qlen, bsz = w.size(0), w.size(1)
        cat = w if memory is None else torch.cat([memory.detach().transpose(0, 1), w], 0)
        klen = cat.size(0)
        weight = torch.cat([self.w_q.weight, self.w_k.weight, self.w_v.weight])
        heads = F.linear(cat, weight).view(klen, bsz, 3, self.num_heads, self.head_dim)
        w_head_q, w_head_k, w_head_v = heads[klen - qlen :, :, 0], heads[:, :, 1], heads[:, :, 2]
        r_head_k = self.w_r(relative_positional_encoding(klen, self.d_model).to(x)).view(klen, self.num_heads, self.head_dim)
        ac = torch.einsum("ibnd,jbnd->ijbn", w_head_q + self.u, w_head_k)
        bd = shift_first(torch.einsum("ibnd,jnd->ijbn", w_head_q + self.v, r_head_k))
        attn_score = (ac + bd).mul(1 / math.sqrt(self.head_dim))
        hidden = torch.triu(torch.ones(qlen, klen), diagonal=1 + klen - qlen).bool()[:, :, None, None]
        attn_prob = torch.softmax(attn_score.masked_fill(hidden, torch.finfo(x.dtype).min), dim=1)
        attn_vec = torch.einsum("ijbn,jbnd->ibnd", attn_prob, w_head_v)
        return self.w_o(attn_vec.reshape(qlen, bsz, self.d_model)).transpose(0, 1)


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
        mems = [None for _ in self.layers] if memories is None else memories
        if len(mems) != len(self.layers):
            raise ValueError(f"memories: {len(mems)} given, {len(self.layers)} needed")
        if any(m is not None and m.size(0) != token_ids.size(0) for m in mems):
            raise ValueError(f"memories and token_ids differ in their batch, which is {token_ids.size(0)} for token_ids")
        core_out = self.embedding(token_ids) * (self.d_model**0.5)
        hids = [core_out]
        for layer, mem in zip(self.layers, mems, strict=True):
            core_out = layer(core_out, mem)
            hids.append(core_out)
        return F.linear(core_out, self.embedding.weight), self.update_mems(hids[:-1], mems)

    def update_mems(self, hids: list[Tensor], mems: list[Tensor | None]) -> list[Tensor]:
        with torch.no_grad():
            new_mems = []
            for hid, mem in zip(hids, mems, strict=True):
                cat = hid if mem is None else torch.cat([mem, hid], dim=1)
                end_idx = cat.size(1)
                beg_idx = max(0, end_idx - self.mem_len)
                new_mems.append(cat[:, beg_idx:end_idx].detach())
        return new_mems
