"""Keys in the outer loop and queries in the inner one, in both passes, as in the first FlashAttention paper; state for all queries."""

import math

import torch
from torch.autograd import Function


def _prepare(query, key, value, scale, block_q, block_k):
    if block_q <= 0 or block_k <= 0:
        raise ValueError(f"block_q and block_k must be positive, not {block_q} and {block_k}")
    shapes = list(query.shape), list(key.shape), list(value.shape)
    if min(map(len, shapes)) < 2 or shapes[0][:-2] != shapes[1][:-2] or shapes[1][:-1] != shapes[2][:-1] or shapes[0][-1] != shapes[1][-1]:
        raise ValueError(f"query, key and value do not fit: {shapes}")
    return math.pow(query.size(-1), -0.5) if scale is None else float(scale)


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    scale = _prepare(query, key, value, scale, block_q, block_k)
    high = torch.promote_types(query.dtype, torch.float32)
    L, S = query.size(-2), key.size(-2)
    output = torch.zeros(query.shape[:-1] + value.shape[-1:], dtype=high)
    total = torch.zeros(query.shape[:-1], dtype=high)
    highest = torch.full(query.shape[:-1], -math.inf, dtype=high)
    for start in range(0, S, block_k):
        k, v = (x.narrow(-2, start, min(block_k, S - start)).to(high) for x in (key, value))
        first = max(0, start - (S - L)) // block_q * block_q if causal else 0
        for begin in range(first, L, block_q):
            size = min(block_q, L - begin)
            q = query.narrow(-2, begin, size).to(high)
            scores = torch.matmul(q, k.mT).mul(scale)
            if causal:
                late = torch.arange(start, start + k.size(-2)).unsqueeze(0) > torch.arange(begin, begin + size).unsqueeze(1) + (S - L)
                scores = scores.masked_fill(late, -math.inf)
            before = highest.narrow(-1, begin, size)
            after = torch.maximum(before, scores.amax(-1))
            safe = torch.where(torch.isneginf(after), torch.zeros_like(after), after)
            weights = (scores - safe.unsqueeze(-1)).exp()
            shrink = (before - safe).exp()
            total.narrow(-1, begin, size).mul_(shrink).add_(weights.sum(-1))
            output.narrow(-2, begin, size).mul_(shrink.unsqueeze(-1)).add_(weights @ v)
            before.copy_(after)
    output = torch.where(total.unsqueeze(-1) == 0, 0.0, output / total.unsqueeze(-1))
    return output.to(query.dtype), highest + total.log()


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    scale = _prepare(query, key, value, scale, block_q, block_k)
    high = torch.promote_types(query.dtype, torch.float32)
    L, S = query.size(-2), key.size(-2)
    grad_query = torch.zeros(query.shape, dtype=high)
    grad_key, grad_value = [], []
    delta = (grad_output.to(high) * output.to(high)).sum(-1)
    for start in range(0, S, block_k):
        k, v = (x.narrow(-2, start, min(block_k, S - start)).to(high) for x in (key, value))
        dk, dv = torch.zeros(k.shape, dtype=high), torch.zeros(v.shape, dtype=high)
        first = max(0, start - (S - L)) // block_q * block_q if causal else 0
        for begin in range(first, L, block_q):
            size = min(block_q, L - begin)
            q, do = (x.narrow(-2, begin, size).to(high) for x in (query, grad_output))
            exponent = torch.matmul(q, k.mT) * scale - logsumexp.narrow(-1, begin, size).unsqueeze(-1)
            if causal:
                late = torch.arange(start, start + k.size(-2)).unsqueeze(0) > torch.arange(begin, begin + size).unsqueeze(1) + (S - L)
                exponent = exponent.masked_fill(late, -math.inf)
            weights = exponent.exp()
            dv += weights.mT @ do
            ds = weights * (do @ v.mT - delta.narrow(-1, begin, size).unsqueeze(-1))
            dk += ds.mT @ q
            grad_query.narrow(-2, begin, size).add_(ds @ k)
        grad_key.append(dk * scale)
        grad_value.append(dv)
    return (grad_query * scale).to(query.dtype), torch.cat(grad_key, -2).to(key.dtype), torch.cat(grad_value, -2).to(value.dtype)


class FlashAttention(Function):
    @staticmethod
    def forward(ctx, query, key, value, causal, scale, block_q, block_k):
        ctx.rest = (causal, scale, block_q, block_k)
        output, logsumexp = flash_attention_forward(query, key, value, causal, scale, block_q, block_k)
        ctx.save_for_backward(query, key, value, output, logsumexp)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        return flash_attention_backward(grad_output, *ctx.saved_tensors, *ctx.rest) + (None,) * 4


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
