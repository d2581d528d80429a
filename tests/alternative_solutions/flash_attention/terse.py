"""As short as it gets: keys cut at what a block of queries can see, the mask added by triu, a single helper for both passes."""

import torch

INF = float("inf")


def _blocks(q, k, v, causal, scale, bq, bk):
    if (
        min(bq, bk) < 1
        or min(q.ndim, k.ndim, v.ndim) < 2
        or q.shape[:-2] != k.shape[:-2]
        or k.shape[:-1] != v.shape[:-1]
        or q.shape[-1] != k.shape[-1]
    ):
        raise ValueError(f"bad shapes or blocks: {q.shape}, {k.shape}, {v.shape}, {bq}, {bk}")
    L, S, c = q.shape[-2], k.shape[-2], q.shape[-1] ** -0.5 if scale is None else scale
    for a in range(0, L, bq):
        b = min(a + bq, L)
        end = max(min(S, b + S - L), 0) if causal else S
        for x in range(0, end, bk):
            y = min(x + bk, end)
            s = c * q[..., a:b, :] @ k[..., x:y, :].mT
            yield slice(a, b), slice(x, y), c, s + torch.full_like(s[..., :, :], -INF).triu(a + S - L - x + 1) if causal else s


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    w = torch.promote_types(query.dtype, torch.float32)
    q, k, v = query.to(w), key.to(w), value.to(w)
    o, z, m = (torch.full((*q.shape[:-1], n), f, dtype=w) for n, f in ((v.shape[-1], 0.0), (1, 0.0), (1, -INF)))
    for i, j, _, s in _blocks(q, k, v, causal, scale, block_q, block_k):
        top = torch.maximum(m[..., i, :], s.amax(-1, True))
        ref = top.clamp(min=-1e30)
        p, f = (s - ref).exp(), (m[..., i, :] - ref).exp()
        o[..., i, :], z[..., i, :], m[..., i, :] = f * o[..., i, :] + p @ v[..., j, :], f * z[..., i, :] + p.sum(-1, True), top
    return (o / z.where(z > 0, 1.0)).to(query.dtype), (m + z.log())[..., 0]


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    w = logsumexp.dtype
    g, q, k, v = (x.to(w) for x in (grad_output, query, key, value))
    dq, dk, dv = (torch.zeros(x.shape, dtype=w) for x in (q, k, v))
    d, n = (g * output).sum(-1, True), logsumexp[..., None].clamp(min=-1e30)
    for i, j, c, s in _blocks(q, k, v, causal, scale, block_q, block_k):
        p = (s - n[..., i, :]).exp()
        t = c * p * (g[..., i, :] @ v[..., j, :].mT - d[..., i, :])
        dq[..., i, :] += t @ k[..., j, :]
        dk[..., j, :] += t.mT @ q[..., i, :]
        dv[..., j, :] += p.mT @ g[..., i, :]
    return dq.to(query), dk.to(key), dv.to(value)


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *a):
        ctx.rest, (o, lse) = a[3:], flash_attention_forward(*a)
        ctx.save_for_backward(*a[:3], o, lse)
        return o

    @staticmethod
    def backward(ctx, g):
        return flash_attention_backward(g, *ctx.saved_tensors, *ctx.rest) + (None,) * 4


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
