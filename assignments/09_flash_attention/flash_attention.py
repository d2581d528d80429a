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
    # Write your solution here.
    raise NotImplementedError("not implemented yet: flash_attention_forward")


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
