"""A column of ones beside the values sums the weights; tiles run from the last keys to the first; everything inside in float64."""

import torch
from torch.nn.functional import pad


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    scale = _scale(query, key, value, scale, block_q, block_k)
    L, S = query.shape[-2], key.shape[-2]
    q, k, v = (x.reshape(-1, *x.shape[-2:]) for x in (query, key, value))
    results = []
    for i in range(0, L, block_q):
        rows = q[:, i : i + block_q].double()
        highest = torch.full((len(q), rows.shape[1], 1), -torch.inf, dtype=torch.float64)
        summed = torch.zeros(len(q), rows.shape[1], v.shape[2] + 1, dtype=torch.float64)
        for j in reversed(range(0, S, block_k)):
            if causal and i + rows.shape[1] - 1 + S - L < j:
                continue
            columns, values = k[:, j : j + block_k].double(), pad(v[:, j : j + block_k].double(), (0, 1), value=1.0)
            scores = torch.baddbmm(_bias(rows, columns, i, j, S - L, causal), rows, columns.transpose(1, 2), alpha=scale)
            new = torch.maximum(highest, scores.amax(2, keepdim=True))
            finite = new.clamp_min(-1e300)
            summed = torch.baddbmm(summed * torch.exp(highest - finite), torch.exp(scores - finite), values)
            highest = new
        results.append((highest, summed))
    highest, summed = (torch.cat(parts, dim=1) for parts in zip(*results, strict=False))
    total = summed[..., -1:]
    output = torch.where(total > 0, summed[..., :-1] / total, 0.0)
    lse = (highest + total.log())[..., 0]
    wide = torch.float64 if query.dtype == torch.float64 else torch.float32
    return output.reshape(*query.shape[:-1], -1).to(query.dtype), lse.reshape(query.shape[:-1]).to(wide)


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    scale = _scale(query, key, value, scale, block_q, block_k)
    L, S = query.shape[-2], key.shape[-2]
    do, q, k, v, o = (x.reshape(-1, *x.shape[-2:]).double() for x in (grad_output, query, key, value, output))
    lse = logsumexp.reshape(-1, L, 1).double()
    lse = lse.masked_fill(lse.isinf(), 0.0)
    dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for i in range(0, L, block_q):
        rows = slice(i, min(i + block_q, L))
        delta = torch.bmm((do[:, rows] * o[:, rows]), torch.ones(len(o), o.shape[2], 1, dtype=torch.float64))
        for j in range(0, S, block_k):
            if causal and rows.stop - 1 + S - L < j:
                continue
            cols = slice(j, min(j + block_k, S))
            scores = torch.baddbmm(_bias(q[:, rows], k[:, cols], i, j, S - L, causal), q[:, rows], k[:, cols].transpose(1, 2), alpha=scale)
            p = torch.exp(scores - lse[:, rows])
            ds = p * torch.baddbmm(-delta.expand_as(p), do[:, rows], v[:, cols].transpose(1, 2))
            dv[:, cols] += torch.bmm(p.transpose(1, 2), do[:, rows])
            dq[:, rows] = torch.baddbmm(dq[:, rows], ds, k[:, cols], alpha=scale)
            dk[:, cols] = torch.baddbmm(dk[:, cols], ds.transpose(1, 2), q[:, rows], alpha=scale)
    return tuple(g.reshape(x.shape).to(x.dtype) for g, x in ((dq, query), (dk, key), (dv, value)))


def _bias(rows, columns, i, j, offset, causal):
    if not causal:
        return torch.zeros(1, 1, 1, dtype=torch.float64)
    hidden = torch.ones(rows.shape[1], columns.shape[1], dtype=torch.bool).triu(i - j + offset + 1)
    return torch.zeros(hidden.shape, dtype=torch.float64).masked_fill(hidden, -torch.inf)[None]


def _scale(query, key, value, scale, block_q, block_k):
    if min(block_q, block_k) < 1:
        raise ValueError(f"block_q={block_q}, block_k={block_k}: at least 1 each")
    if min(query.ndim, key.ndim, value.ndim) < 2 or query.shape[:-2] + query.shape[-1:] != key.shape[:-2] + key.shape[-1:]:
        raise ValueError(f"query {tuple(query.shape)} and key {tuple(key.shape)} do not fit")
    if key.shape[:-1] != value.shape[:-1]:
        raise ValueError(f"key {tuple(key.shape)} and value {tuple(value.shape)} do not fit")
    return query.shape[-1] ** -0.5 if scale is None else scale


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, causal, scale, block_q, block_k):
        output, logsumexp = flash_attention_forward(query, key, value, causal, scale, block_q, block_k)
        ctx.save_for_backward(query, key, value, output, logsumexp)
        ctx.settings = causal, scale, block_q, block_k
        return output

    @staticmethod
    def backward(ctx, grad_output):
        return (*flash_attention_backward(grad_output, *ctx.saved_tensors, *ctx.settings), None, None, None, None)


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
