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
    ### BEGIN SOLUTION
    _check(query, key, value, block_q, block_k)
    scale = 1.0 / math.sqrt(query.size(-1)) if scale is None else scale
    wide = torch.float64 if query.dtype == torch.float64 else torch.float32
    L, S = query.size(-2), key.size(-2)
    output = query.new_empty(*query.shape[:-1], value.size(-1))  # (..., L, Dv)
    logsumexp = query.new_empty(query.shape[:-1], dtype=wide)  # (..., L)
    queries, keys, values, outputs, logsumexps = _matrices(query, key, value, output, logsumexp.unsqueeze(-1))  # (N, L, D) and so on
    for rows in _blocks(L, block_q):
        q = queries[:, rows].to(wide) * scale  # (N, Bq, D)
        # The lowest finite number, not -inf: a row that has seen nothing yet never meets -inf minus -inf.
        highest = q.new_full((*q.shape[:2], 1), torch.finfo(wide).min)  # (N, Bq, 1)
        total = q.new_zeros(*q.shape[:2], 1)  # (N, Bq, 1)
        summed = q.new_zeros(*q.shape[:2], value.size(-1))  # (N, Bq, Dv)
        for columns in _visible_blocks(rows, L, S, block_k, causal):
            scores = torch.bmm(q, keys[:, columns].to(wide).mT)  # (N, Bq, Bk)
            _hide_future(scores, rows, columns, L, S, causal)
            higher = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
            weights = scores.sub_(higher).exp_()  # (N, Bq, Bk), in place: a fresh tile costs more than its arithmetic
            shrink = torch.exp(highest - higher)  # (N, Bq, 1)
            total.mul_(shrink).add_(weights.sum(dim=-1, keepdim=True))
            summed.mul_(shrink).baddbmm_(weights, values[:, columns].to(wide))
            highest = higher
        outputs[:, rows] = (summed / total.masked_fill(total == 0, 1.0)).to(output.dtype)
        logsumexps[:, rows] = highest + torch.log(total)  # log 0 = -inf
    return output, logsumexp
    ### END SOLUTION


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
    ### BEGIN SOLUTION
    _check(query, key, value, block_q, block_k)
    _check_results(grad_output, output, logsumexp, query, value)
    scale = 1.0 / math.sqrt(query.size(-1)) if scale is None else scale
    wide = torch.float64 if query.dtype == torch.float64 else torch.float32
    L, S = query.size(-2), key.size(-2)
    grad_query, grad_key, grad_value = (torch.zeros(x.shape, dtype=wide, device=x.device) for x in (query, key, value))
    grad_queries, grad_keys, grad_values = _matrices(grad_query, grad_key, grad_value)  # views: (N, L, D), (N, S, D), (N, S, Dv)
    queries, keys, values, grad_outputs, outputs = _matrices(query, key, value, grad_output, output)
    # A query that saw nothing has logsumexp -inf; 0 in its place makes its weights exp(-inf - 0) = 0.
    (norms,) = _matrices(logsumexp.masked_fill(logsumexp == -math.inf, 0.0).unsqueeze(-1))  # (N, L, 1)
    for rows in _blocks(L, block_q):
        q = queries[:, rows].to(wide) * scale  # (N, Bq, D)
        d_out = grad_outputs[:, rows].to(wide)  # (N, Bq, Dv)
        delta = (d_out * outputs[:, rows].to(wide)).sum(dim=-1, keepdim=True)  # (N, Bq, 1)
        for columns in _visible_blocks(rows, L, S, block_k, causal):
            k, v = keys[:, columns].to(wide), values[:, columns].to(wide)  # (N, Bk, D), (N, Bk, Dv)
            scores = torch.bmm(q, k.mT)  # (N, Bq, Bk)
            _hide_future(scores, rows, columns, L, S, causal)
            weights = scores.sub_(norms[:, rows]).exp_()  # (N, Bq, Bk)
            grad_values[:, columns].baddbmm_(weights.mT, d_out)
            grad_scores = torch.bmm(d_out, v.mT).sub_(delta).mul_(weights)  # (N, Bq, Bk)
            grad_queries[:, rows].baddbmm_(grad_scores, k)
            grad_keys[:, columns].baddbmm_(grad_scores.mT, q)  # q carries the scale
    return grad_query.mul_(scale).to(query.dtype), grad_key.to(key.dtype), grad_value.to(value.dtype)
    ### END SOLUTION


class FlashAttention(torch.autograd.Function):
    """The two functions above as one differentiable operation: between them only inputs, output and logsumexp are kept."""

    @staticmethod
    def forward(ctx, query, key, value, causal, scale, block_q, block_k):  # type: ignore[no-untyped-def]
        ### BEGIN SOLUTION
        output, logsumexp = flash_attention_forward(query, key, value, causal, scale, block_q, block_k)
        ctx.save_for_backward(query, key, value, output, logsumexp)
        ctx.settings = (causal, scale, block_q, block_k)
        return output
        ### END SOLUTION

    @staticmethod
    def backward(ctx, grad_output):  # type: ignore[no-untyped-def]
        ### BEGIN SOLUTION
        gradients = flash_attention_backward(grad_output, *ctx.saved_tensors, *ctx.settings)
        return (*gradients, None, None, None, None)
        ### END SOLUTION


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
    ### BEGIN SOLUTION
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
    ### END SOLUTION


### BEGIN SOLUTION
def _blocks(length: int, block: int) -> Iterator[slice]:
    for start in range(0, length, block):
        yield slice(start, min(start + block, length))


def _matrices(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All leading dimensions as one: (..., L, D) gives (N, L, D), a view wherever memory allows."""
    return tuple(x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:]) for x in tensors)


def _visible_blocks(rows: slice, L: int, S: int, block_k: int, causal: bool) -> Iterator[slice]:
    """Tiles of keys of which the last query of `rows` sees at least one."""
    visible = min(S, rows.stop + S - L) if causal else S
    for columns in _blocks(S, block_k):
        if columns.start < visible:
            yield columns


def _hide_future(scores: Tensor, rows: slice, columns: slice, L: int, S: int, causal: bool) -> None:
    """In place: -inf where the key comes after the query. Tiles that lie wholly in the past are left alone."""
    if causal and columns.stop - 1 > rows.start + S - L:
        query_position = torch.arange(rows.start, rows.stop, device=scores.device).unsqueeze(1) + S - L  # (Bq, 1)
        key_position = torch.arange(columns.start, columns.stop, device=scores.device)  # (Bk,)
        scores.masked_fill_(key_position > query_position, -math.inf)


def _check(query: Tensor, key: Tensor, value: Tensor, block_q: int, block_k: int) -> None:
    shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
    if min(query.dim(), key.dim(), value.dim()) < 2:
        raise ValueError(f"query, key and value need at least 2 dimensions, got {shapes}")
    if not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        raise ValueError(f"leading dimensions differ: {shapes}")
    if query.size(-1) != key.size(-1):
        raise ValueError(f"query and key must have the same number of features: {shapes}")
    if key.size(-2) != value.size(-2):
        raise ValueError(f"every key needs one value: {shapes}")
    if block_q < 1 or block_k < 1:
        raise ValueError(f"blocks must be >= 1, got block_q={block_q}, block_k={block_k}")


def _check_results(grad_output: Tensor, output: Tensor, logsumexp: Tensor, query: Tensor, value: Tensor) -> None:
    expected = (*query.shape[:-1], value.size(-1))
    for name, result, shape in (("grad_output", grad_output, expected), ("output", output, expected), ("logsumexp", logsumexp, expected[:-1])):
        if result.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(result.shape)}")


### END SOLUTION
