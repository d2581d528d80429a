"""Einsum for every product, a fill of finfo.min with the weights of hidden pairs set to zero afterwards."""

import torch


def _validate(query, key, value, block_q, block_k):
    if block_q < 1:
        raise ValueError(f"block_q={block_q} is less than 1")
    if block_k < 1:
        raise ValueError(f"block_k={block_k} is less than 1")
    if not (query.ndim == key.ndim == value.ndim >= 2):
        raise ValueError(f"dimensions differ: {query.ndim}, {key.ndim}, {value.ndim}")
    if query.shape[:-2] != key.shape[:-2] or key.shape[:-2] != value.shape[:-2]:
        raise ValueError(f"leading dimensions differ: {query.shape}, {key.shape}, {value.shape}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(f"sizes do not fit: {query.shape}, {key.shape}, {value.shape}")


def _tile(query, key, i0, j0, L, S, causal, scale):
    """Scores of one tile and where they are visible."""
    scores = torch.einsum("...id,...jd->...ij", query, key) * scale
    i = torch.arange(i0, i0 + query.shape[-2])
    j = torch.arange(j0, j0 + key.shape[-2])
    visible = (j[None, :] - i[:, None] <= S - L) if causal else torch.ones(len(i), len(j), dtype=torch.bool)
    return torch.where(visible, scores, torch.finfo(scores.dtype).min), visible


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    _validate(query, key, value, block_q, block_k)
    dtype = query.dtype
    if dtype not in (torch.float32, torch.float64):
        query, key, value = query.float(), key.float(), value.float()
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    L, S = query.shape[-2], key.shape[-2]
    outputs, sums = [], []
    for i0 in range(0, L, block_q):
        q = query[..., i0 : i0 + block_q, :]
        lowest = torch.finfo(q.dtype).min
        m = torch.full(q.shape[:-1], lowest, dtype=q.dtype)
        total = torch.zeros_like(m)
        o = torch.zeros(*q.shape[:-1], value.shape[-1], dtype=q.dtype)
        for j0 in range(0, S, block_k):
            if causal and j0 > i0 + q.shape[-2] - 1 + S - L:
                break
            scores, visible = _tile(q, key[..., j0 : j0 + block_k, :], i0, j0, L, S, causal, scale)
            m_new = torch.maximum(m, scores.max(dim=-1).values)
            p = torch.exp(scores - m_new[..., None]) * visible
            factor = torch.exp(m - m_new)
            total = total * factor + torch.einsum("...ij->...i", p)
            o = o * factor[..., None] + torch.einsum("...ij,...jd->...id", p, value[..., j0 : j0 + block_k, :])
            m = m_new
        outputs.append(torch.where(total[..., None] > 0, o / total.clamp_min(1e-300 if total.dtype == torch.float64 else 1e-37)[..., None], 0.0))
        sums.append(torch.where(total > 0, m + torch.log(total), float("-inf")))
    return torch.cat(outputs, dim=-2).to(dtype), torch.cat(sums, dim=-1)


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    _validate(query, key, value, block_q, block_k)
    dtype = query.dtype
    grad_output, query, key, value, output = (x.to(logsumexp.dtype) for x in (grad_output, query, key, value, output))
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    L, S = query.shape[-2], key.shape[-2]
    dq, dk, dv = torch.zeros(query.shape, dtype=query.dtype), torch.zeros(key.shape, dtype=key.dtype), torch.zeros(value.shape, dtype=value.dtype)
    delta = torch.einsum("...id,...id->...i", grad_output, output)
    for i0 in range(0, L, block_q):
        i = slice(i0, min(i0 + block_q, L))
        for j0 in range(0, S, block_k):
            if causal and j0 > i.stop - 1 + S - L:
                break
            j = slice(j0, min(j0 + block_k, S))
            scores, visible = _tile(query[..., i, :], key[..., j, :], i0, j0, L, S, causal, scale)
            p = torch.where(visible, torch.exp(scores - logsumexp[..., i, None]), 0.0)
            dp = torch.einsum("...id,...jd->...ij", grad_output[..., i, :], value[..., j, :])
            ds = p * (dp - delta[..., i, None]) * scale
            dv[..., j, :] += torch.einsum("...ij,...id->...jd", p, grad_output[..., i, :])
            dq[..., i, :] += torch.einsum("...ij,...jd->...id", ds, key[..., j, :])
            dk[..., j, :] += torch.einsum("...ij,...id->...jd", ds, query[..., i, :])
    return dq.to(dtype), dk.to(dtype), dv.to(dtype)


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, causal, scale, block_q, block_k):
        output, logsumexp = flash_attention_forward(query, key, value, causal, scale, block_q, block_k)
        ctx.save_for_backward(query, key, value, output, logsumexp)
        ctx.causal, ctx.scale, ctx.block_q, ctx.block_k = causal, scale, block_q, block_k
        return output

    @staticmethod
    def backward(ctx, grad_output):
        dq, dk, dv = flash_attention_backward(grad_output, *ctx.saved_tensors, ctx.causal, ctx.scale, ctx.block_q, ctx.block_k)
        return dq, dk, dv, None, None, None, None


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
