"""Transformer-XL: attention over what came before this segment, with relative positions (Dai et al. 2019).

Letters in shapes: B batch, H heads, L positions of this segment, M of the memory, S = M + L keys, E = d_model features, D = E / H features of one
head, V tokens in the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def relative_positional_encoding(length: int, d_model: int) -> Float[Tensor, "length d_model"]:
    """Row k encodes the distance length - 1 - k: the farthest first, 0 last; float64.

    Column i is sin(distance * 10000**(-2i / d_model)), column d_model / 2 + i the cosine of the same angle, i = 0 ... d_model / 2 - 1: all sines,
    then all cosines, as in the code of Dai et al. 2019; assignment 02 interleaves them. length >= 1. Raises ValueError when d_model is odd.
    """
    if d_model % 2 == 1:
        raise ValueError("d_model must be even but is " + str(d_model))
    pos = torch.arange(length - 1, -1, -1, dtype=torch.float64)
    freq = 1 / (10000 ** (torch.arange(0.0, d_model, 2.0, dtype=torch.float64) / d_model))
    sinusoid = torch.einsum("i,j->ij", pos, freq)
    return torch.cat([sinusoid.sin(), sinusoid.cos()], dim=-1)


def relative_shift(scores: Float[Tensor, "*batch L S"]) -> Float[Tensor, "*batch L S"]:
    """From columns by distance to columns by key (Dai et al. 2019, appendix B).

    Input column k belongs to distance S - 1 - k. result[..., i, j] = scores[..., i, j + L - 1 - i] for j <= i + S - L, the keys that query i may see;
    what lies in its future is unspecified. S >= L; any leading dimensions, any strides; the dtype of scores, which stay as they are.
    """
    # TODO faster?
    out = scores.clone()
    L = scores.shape[-2]
    S = scores.shape[-1]
    for i in range(L):
        for j in range(S):
            if j <= i + S - L:
                out[..., i, j] = scores[..., i, j + L - 1 - i]
    return out


class RelativeMultiHeadAttention(nn.Module):
    """Causal attention from a segment to the memory and itself, with scores from content and from distance.

    score(i, j) = ((q_i + u) . k_j + (q_i + v) . (w_r R_{i + M - j})) / sqrt(D) for query i of the segment and key j of memory and segment
    (Dai et al. 2019, section 3.3), where R_n encodes the distance n. u and v take the place of a query's absolute position: one vector for each head.
    No residual connection, normalisation or dropout.
    """

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
        """Queries come from x, keys and values from memory and x, in this order; query i sees keys j <= i + M.

        The memory is a constant: no gradient flows into it, though the weights get theirs from what they make of it. The result has the dtype of x.
        """
        # only without memory so far
        B, L, E = x.shape
        q = self.w_q(x).view(B, L, self.num_heads, self.head_dim).transpose(1, 2)
        k = self.w_k(x).view(B, L, self.num_heads, self.head_dim).transpose(1, 2)
        val = self.w_v(x).view(B, L, self.num_heads, self.head_dim).transpose(1, 2)
        r = self.w_r(relative_positional_encoding(L, E).to(x)).view(L, self.num_heads, self.head_dim).transpose(0, 1)
        scores = (q + self.u[:, None, :]) @ k.transpose(2, 3) + relative_shift((q + self.v[:, None, :]) @ r.transpose(1, 2))
        scores = scores / math.sqrt(self.head_dim)
        scores = scores.masked_fill(torch.ones(L, L).triu(1).bool(), float("-inf"))
        return self.w_o((scores.softmax(-1) @ val).transpose(1, 2).reshape(B, L, E))


class TransformerXLLayer(nn.Module):
    """GIVEN. Post-norm, ReLU, no dropout."""

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
    """A language model that reads a long text in segments and hands each layer's inputs on to the next segment (Dai et al. 2019, section 3.2).

    u and v belong to each layer; the paper's code shares them between layers by default. mem_len is how many positions are handed on; 0 is legal.
    Raises ValueError when mem_len < 0, or num_heads < 1 or does not divide d_model.
    """

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
        """Logits of the next token at each position, and the memories for the next segment.

        x = sqrt(d_model) * embedding; no absolute positions, no final norm; logits = x @ embedding.weight^T. Given memories, a list or tuple with one
        (B, M, E) for each layer, are attended to whole, whatever M is. The list returned holds for each layer the last min(mem_len, M + L) positions
        of its old memory and its input, in this order: never padded, without gradient, (B, 0, E) when mem_len is 0.
        Raises ValueError when the number of memories or the batch of one is not the model's.
        """
        # Write your solution here.
        raise NotImplementedError("not implemented yet: TransformerXL.forward")
