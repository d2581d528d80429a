import math

import torch


def validate(query, key, value, block_q, block_k):
    shapes = f"query {tuple(query.shape)} key {tuple(key.shape)} value {tuple(value.shape)}"
    if min(block_q, block_k) < 1:
        raise ValueError(f"blocks below 1: block_q {block_q}, block_k {block_k}")
    if query.ndim < 2 or query.shape[:-2] != key.shape[:-2] or key.shape[:-1] != value.shape[:-1]:
        raise ValueError(f"shapes do not fit: {shapes}")
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(f"widths of query and key differ: {shapes}")


def tiles(L, S, causal, block_q, block_k):
    for j in range(0, S, block_k):
        for i in range(0, L, block_q):
            rows, cols = slice(i, min(i + block_q, L)), slice(j, min(j + block_k, S))
            if not causal:
                yield rows, cols, None
            elif j <= rows.stop - 1 + S - L:
                positions = torch.arange(rows.start, rows.stop)[:, None] + S - L
                yield rows, cols, torch.arange(cols.start, cols.stop)[None] > positions


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    validate(query, key, value, block_q, block_k)
    L, S = query.shape[-2], key.shape[-2]
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    wide = torch.promote_types(query.dtype, torch.float32)
    m = torch.full(query.shape[:-1], -math.inf, dtype=wide)
    total = torch.zeros_like(m)
    acc = torch.zeros(*query.shape[:-1], value.shape[-1], dtype=wide)
    for rows, cols, hidden in tiles(L, S, causal, block_q, block_k):
        s = torch.einsum("...id,...jd->...ij", query[..., rows, :].to(wide), key[..., cols, :].to(wide)) * scale
        if hidden is not None:
            s = s.masked_fill(hidden, -math.inf)
        new = torch.maximum(m[..., rows], s.amax(-1))
        anchor = new.nan_to_num(neginf=0.0)
        p, shrink = (s - anchor[..., None]).exp(), (m[..., rows] - anchor).exp()
        total[..., rows] = total[..., rows] * shrink + p.sum(-1)
        acc[..., rows, :] = acc[..., rows, :] * shrink[..., None] + torch.einsum("...ij,...jd->...id", p, value[..., cols, :].to(wide))
        m[..., rows] = new
    acc = acc / total.clamp_min(torch.finfo(wide).tiny)[..., None]
    return acc.to(query.dtype), m + total.log()


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    validate(query, key, value, block_q, block_k)
    L, S = query.shape[-2], key.shape[-2]
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    wide = torch.promote_types(query.dtype, torch.float32)
    dq, dk, dv = (torch.zeros(x.shape, dtype=wide) for x in (query, key, value))
    delta = torch.einsum("...d,...d->...", grad_output.to(wide), output.to(wide))
    anchor = logsumexp.nan_to_num(neginf=0.0)
    for rows, cols, hidden in tiles(L, S, causal, block_q, block_k):
        q, do = query[..., rows, :].to(wide), grad_output[..., rows, :].to(wide)
        k, v = key[..., cols, :].to(wide), value[..., cols, :].to(wide)
        s = torch.einsum("...id,...jd->...ij", q, k) * scale
        if hidden is not None:
            s = s.masked_fill(hidden, -math.inf)
        p = (s - anchor[..., rows, None]).exp()
        ds = scale * p * (torch.einsum("...id,...jd->...ij", do, v) - delta[..., rows, None])
        dv[..., cols, :] += torch.einsum("...ij,...id->...jd", p, do)
        dk[..., cols, :] += torch.einsum("...ij,...id->...jd", ds, q)
        dq[..., rows, :] += torch.einsum("...ij,...jd->...id", ds, k)
    return dq.to(query.dtype), dk.to(key.dtype), dv.to(value.dtype)


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, *settings):
        output, logsumexp = flash_attention_forward(query, key, value, *settings)
        ctx.save_for_backward(query, key, value, output, logsumexp)
        ctx.settings = settings
        return output

    @staticmethod
    def backward(ctx, grad_output):
        return *flash_attention_backward(grad_output, *ctx.saved_tensors, *ctx.settings), None, None, None, None


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
