"""FlashAttention: exact attention in tiles, without ever holding the matrix of scores (Dao et al. 2022; Dao 2023).

Letters in shapes: any leading dimensions, L queries, S keys, D features of a query or key, Dv features of a value, Bq x Bk a tile,
N all leading dimensions as one.
Causal: query i sees key j when j <= i + S - L, so the last query sees every key.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor


def flash_attention_forward(
    query: Float[Tensor, "*batch L D"],
    key: Float[Tensor, "*batch S D"],
    value: Float[Tensor, "*batch S Dv"],
    causal: bool = False,
    scale: float | None = None,
    block_q: int = 64,
    block_k: int = 64,
) -> tuple[Float[Tensor, "*batch L Dv"], Float[Tensor, "*batch L"]]:
    """softmax(scale * Q K^T) V and the logarithm of each row's softmax denominator (Dao 2023, algorithm 1).

    For each block of queries, a running maximum m, denominator and output are kept while tiles of keys pass; when m grows, what was summed
    before shrinks by exp(m_old - m_new). scale None is 1 / sqrt(D); 0.0 and negative numbers are values. Blocks may be of any size >= 1.
    Returns the output (..., L, Dv) in query's dtype and logsumexp (..., L), the natural logarithm over visible keys of sum(exp(scaled score)),
    float64 for float64 and float32 otherwise. A query that sees no key gets zeros and -inf. A tile of which no pair is visible is skipped;
    no tensor is larger than the inputs, the results or a tile (block_q, block_k). Larger blocks are faster until a tile leaves the cache.
    Raises ValueError when the shapes do not fit (leading dimensions are equal, nothing is broadcast) or a block is < 1.
    """
    if block_q < 1 or block_k < 1:
        raise ValueError(f"block_q={block_q}, block_k={block_k}")
    if query.size(-1) != key.size(-1) or key.size(-2) != value.size(-2) or query.shape[:-2] != key.shape[:-2] or key.shape[:-2] != value.shape[:-2]:
        raise ValueError(f"shapes: {query.shape}, {key.shape}, {value.shape}")
    L, D = query.shape[-2:]
    S, Dv = value.shape[-2:]
    if scale is None:
        scale = 1.0 / math.sqrt(D)
    dtype = torch.float64 if query.dtype == torch.float64 else torch.float32
    outputs, lses = [], []
    for i in range(0, L, block_q):
        q = query[..., i : i + block_q, :].to(dtype)
        rows = q.size(-2)
        m = torch.full((*q.shape[:-1], 1), -math.inf, dtype=dtype)
        l = torch.zeros_like(m)
        o = torch.zeros((*q.shape[:-1], Dv), dtype=dtype)
        for j in range(0, S, block_k):
            if causal and j > i + rows - 1 + S - L:
                break
            k = key[..., j : j + block_k, :].to(dtype)
            v = value[..., j : j + block_k, :].to(dtype)
            s = scale * (q @ k.transpose(-2, -1))
            if causal:
                s = s.masked_fill(torch.arange(j, j + k.size(-2)) > torch.arange(i, i + rows).unsqueeze(1) + S - L, -math.inf)
            m_new = torch.maximum(m, s.amax(dim=-1, keepdim=True))
            # nothing seen yet: subtract 0, so that exp(-inf - 0) = 0
            safe = torch.where(m_new == -math.inf, 0.0, m_new)
            p = torch.exp(s - safe)
            shrink = torch.exp(m - safe)
            l = shrink * l + p.sum(dim=-1, keepdim=True)
            o = shrink * o + p @ v
            m = m_new
        outputs.append((o / torch.where(l == 0, 1.0, l)).to(query.dtype))
        lses.append((m + torch.log(l)).squeeze(-1))
    return torch.cat(outputs, dim=-2), torch.cat(lses, dim=-1)


def flash_attention_backward(
    grad_output: Float[Tensor, "*batch L Dv"],
    query: Float[Tensor, "*batch L D"],
    key: Float[Tensor, "*batch S D"],
    value: Float[Tensor, "*batch S Dv"],
    output: Float[Tensor, "*batch L Dv"],
    logsumexp: Float[Tensor, "*batch L"],
    causal: bool,
    scale: float | None,
    block_q: int,
    block_k: int,
) -> tuple[Float[Tensor, "*batch L D"], Float[Tensor, "*batch S D"], Float[Tensor, "*batch S Dv"]]:
    """Gradients of query, key and value; each tile of weights is made again from logsumexp (Dao 2023, algorithm 2).

    P = exp(scale Q K^T - logsumexp); dV = P^T dO; dS = P * (dO V^T - rowsum(dO * O)); dQ = scale dS K; dK = scale dS^T Q.
    output and logsumexp are what the forward pass returned; grad_output (..., L, Dv) may have any strides. The gradients have their inputs'
    shapes and dtypes; a query that sees no key has gradient 0 and gives none. Tiles, memory and errors are those of the forward pass.
    """
    # Write your solution here.
    raise NotImplementedError("not implemented yet: flash_attention_backward")


class FlashAttention(torch.autograd.Function):
    """The two functions above as one differentiable operation: between them only inputs, output and logsumexp are kept."""

    @staticmethod
    def forward(ctx, query, key, value, causal, scale, block_q, block_k):  # type: ignore[no-untyped-def]
        # Write your solution here.
        raise NotImplementedError("not implemented yet: FlashAttention.forward")

    @staticmethod
    def backward(ctx, grad_output):  # type: ignore[no-untyped-def]
        # Write your solution here.
        raise NotImplementedError("not implemented yet: FlashAttention.backward")


def flash_attention(
    query: Float[Tensor, "*batch L D"],
    key: Float[Tensor, "*batch S D"],
    value: Float[Tensor, "*batch S Dv"],
    causal: bool = False,
    scale: float | None = None,
    block_q: int = 64,
    block_k: int = 64,
) -> Float[Tensor, "*batch L Dv"]:
    """The differentiable output alone. Arguments and errors as `flash_attention_forward`."""
    # Write your solution here.
    raise NotImplementedError("not implemented yet: flash_attention")
