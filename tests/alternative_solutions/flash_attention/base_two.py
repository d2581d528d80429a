"""Powers of two, with log2(e) folded into the scale as GPU kernels do; the running maximum starts at a finite -1e30."""

import math

import torch

LOG2E = math.log2(math.e)
LOW = -1e30


def _check_arguments(query, key, value, block_q, block_k):
    for name, block in (("block_q", block_q), ("block_k", block_k)):
        if block < 1:
            raise ValueError(f"{name} is {block}, and must be at least 1")
    if query.dim() < 2:
        raise ValueError(f"query has shape {tuple(query.shape)}")
    if tuple(key.shape[:-2]) != tuple(query.shape[:-2]) or key.dim() != query.dim() or key.shape[-1] != query.shape[-1]:
        raise ValueError(f"key {tuple(key.shape)} does not fit query {tuple(query.shape)}")
    if tuple(value.shape[:-1]) != tuple(key.shape[:-1]):
        raise ValueError(f"value {tuple(value.shape)} does not fit key {tuple(key.shape)}")


def _tile_scores(q, k, first_query, first_key, offset, causal):
    scores = q @ k.transpose(-1, -2)
    if causal and first_key + k.shape[-2] - 1 > first_query + offset:
        distance = torch.arange(first_key, first_key + k.shape[-2])[None, :] - torch.arange(first_query, first_query + q.shape[-2])[:, None]
        scores = scores.masked_fill(distance > offset, -math.inf)
    return scores


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    _check_arguments(query, key, value, block_q, block_k)
    compute = torch.float64 if query.dtype == torch.float64 else torch.float32
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    L, S = query.shape[-2], key.shape[-2]
    output = torch.empty(*query.shape[:-1], value.shape[-1], dtype=query.dtype)
    logsumexp = torch.empty(query.shape[:-1], dtype=compute)
    for first_query in range(0, L, block_q):
        q = query[..., first_query : first_query + block_q, :].to(compute) * (scale * LOG2E)
        rows = q.shape[-2]
        highest = torch.full((*q.shape[:-1], 1), LOW, dtype=compute)
        denominator = torch.zeros_like(highest)
        numerator = torch.zeros(*q.shape[:-1], value.shape[-1], dtype=compute)
        first_key = 0
        while first_key < S and not (causal and first_key > first_query + rows - 1 + S - L):
            k = key[..., first_key : first_key + block_k, :].to(compute)
            v = value[..., first_key : first_key + block_k, :].to(compute)
            scores = _tile_scores(q, k, first_query, first_key, S - L, causal)
            higher = torch.maximum(highest, scores.max(-1, keepdim=True).values)
            weights = torch.exp2(scores - higher)
            alpha = torch.exp2(highest - higher)
            denominator = denominator * alpha + weights.sum(-1, keepdim=True)
            numerator = numerator * alpha + weights @ v
            highest = higher
            first_key += block_k
        empty = denominator == 0
        output[..., first_query : first_query + rows, :] = (numerator / denominator.masked_fill(empty, 1.0)).to(query.dtype)
        total = (highest + torch.log2(denominator)) / LOG2E
        logsumexp[..., first_query : first_query + rows] = total.masked_fill(empty, -math.inf).squeeze(-1)
    return output, logsumexp


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    _check_arguments(query, key, value, block_q, block_k)
    compute = torch.float64 if query.dtype == torch.float64 else torch.float32
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    L, S = query.shape[-2], key.shape[-2]
    dq = torch.zeros_like(query, dtype=compute)
    dk = torch.zeros_like(key, dtype=compute, memory_format=torch.contiguous_format)
    dv = torch.zeros_like(value, dtype=compute, memory_format=torch.contiguous_format)
    dq = dq.contiguous()
    delta = torch.sum(grad_output.to(compute) * output.to(compute), dim=-1, keepdim=True)
    base_two = logsumexp.unsqueeze(-1) * LOG2E
    base_two = torch.where(base_two == -math.inf, 0.0, base_two)
    for first_key in range(0, S, block_k):
        keys = slice(first_key, first_key + block_k)
        k, v = key[..., keys, :].to(compute), value[..., keys, :].to(compute)
        for first_query in range(0, L, block_q):
            queries = slice(first_query, first_query + block_q)
            q, do = query[..., queries, :].to(compute), grad_output[..., queries, :].to(compute)
            if causal and first_key > first_query + q.shape[-2] - 1 + S - L:
                continue
            weights = torch.exp2(_tile_scores(q * (scale * LOG2E), k, first_query, first_key, S - L, causal) - base_two[..., queries, :])
            dv[..., keys, :] += weights.transpose(-1, -2) @ do
            ds = weights * (do @ v.transpose(-1, -2) - delta[..., queries, :]) * scale
            dk[..., keys, :] += ds.transpose(-1, -2) @ q
            dq[..., queries, :] += ds @ k
    return dq.to(query.dtype), dk.to(key.dtype), dv.to(value.dtype)


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, causal, scale, block_q, block_k):
        output, logsumexp = flash_attention_forward(query, key, value, causal, scale, block_q, block_k)
        ctx.save_for_backward(query, key, value, output, logsumexp)
        ctx.settings = (causal, scale, block_q, block_k)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        query, key, value, output, logsumexp = ctx.saved_tensors
        gradients = flash_attention_backward(grad_output, query, key, value, output, logsumexp, *ctx.settings)
        return gradients[0], gradients[1], gradients[2], None, None, None, None


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
