"""Leading dimensions flattened and walked one by one with 2-D products; settings and tensors kept as attributes of ctx."""

import torch


def fits(query, key, value, *blocks):
    lead = query.shape[:-2]
    if query.dim() < 2 or key.dim() != query.dim() or value.dim() != query.dim():
        raise ValueError(f"need (..., L, D), (..., S, D), (..., S, Dv), got {[tuple(x.shape) for x in (query, key, value)]}")
    if key.shape != (*lead, key.shape[-2], query.shape[-1]) or value.shape != (*lead, key.shape[-2], value.shape[-1]):
        raise ValueError(f"shapes do not fit: {[tuple(x.shape) for x in (query, key, value)]}")
    for block in blocks:
        if block < 1:
            raise ValueError(f"a block of {block}")


def tiles(L, S, causal, block_q, block_k):
    for i in range(0, L, block_q):
        last = min(i + block_q, L) - 1
        stop = S if not causal else max(0, min(S, last + 1 + S - L))
        yield slice(i, last + 1), [slice(j, min(j + block_k, S)) for j in range(0, stop, block_k)]


def scores_of(q, k, rows, cols, L, S, causal, scale):
    s = torch.mm(q[rows], k[cols].t()) * scale
    if causal:
        s = s + torch.full_like(s, float("-inf")).triu(rows.start - cols.start + S - L + 1)
    return s


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    fits(query, key, value, block_q, block_k)
    wide = torch.float64 if query.dtype is torch.float64 else torch.float32
    if scale is None:
        scale = 1 / query.shape[-1] ** 0.5
    L, S, Dv = query.shape[-2], key.shape[-2], value.shape[-1]
    outputs, sums = [], []
    for q, k, v in zip(*(x.to(wide).reshape(-1, *x.shape[-2:]) for x in (query, key, value)), strict=False):
        out, lse = torch.zeros(L, Dv, dtype=wide), torch.full((L,), float("-inf"), dtype=wide)
        for rows, columns in tiles(L, S, causal, block_q, block_k):
            m = torch.full((rows.stop - rows.start, 1), float("-inf"), dtype=wide)
            total = torch.zeros_like(m)
            acc = torch.zeros(len(m), Dv, dtype=wide)
            for cols in columns:
                s = scores_of(q, k, rows, cols, L, S, causal, scale)
                new = torch.max(m, s.max(1, keepdim=True)[0])
                alive = new > float("-inf")
                p = torch.where(alive, torch.exp(s - new), torch.zeros_like(s))
                c = torch.where(alive, torch.exp(m - new), torch.ones_like(m))
                total = c * total + p.sum(1, keepdim=True)
                acc = c * acc + torch.mm(p, v[cols])
                m = new
            some = total[:, 0] > 0
            out[rows] = torch.where(some[:, None], acc / total, torch.zeros_like(acc))
            lse[rows] = torch.where(some, (m + total.log())[:, 0], lse[rows])
        outputs.append(out)
        sums.append(lse)
    lead = query.shape[:-2]
    return torch.stack(outputs).reshape(*lead, L, Dv).to(query.dtype), torch.stack(sums).reshape(*lead, L)


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    fits(query, key, value, block_q, block_k)
    wide = logsumexp.dtype
    if scale is None:
        scale = 1 / query.shape[-1] ** 0.5
    L, S = query.shape[-2], key.shape[-2]
    found = [], [], []
    matrices = (x.to(wide).reshape(-1, *x.shape[-2:]) for x in (grad_output, query, key, value, output))
    for do, q, k, v, o, lse in zip(*matrices, logsumexp.reshape(-1, L, 1), strict=False):
        dq, dk, dv = (torch.zeros(x.shape, dtype=wide) for x in (q, k, v))
        for rows, columns in tiles(L, S, causal, block_q, block_k):
            shift = torch.where(torch.isinf(lse[rows]), torch.zeros_like(lse[rows]), lse[rows])
            d = (do[rows] * o[rows]).sum(1, keepdim=True)
            for cols in columns:
                p = torch.exp(scores_of(q, k, rows, cols, L, S, causal, scale) - shift)
                ds = scale * p * (torch.mm(do[rows], v[cols].t()) - d)
                dv[cols] += torch.mm(p.t(), do[rows])
                dq[rows] += torch.mm(ds, k[cols])
                dk[cols] += torch.mm(ds.t(), q[rows])
        for results, result in zip(found, (dq, dk, dv), strict=False):
            results.append(result)
    return tuple(torch.stack(results).reshape(x.shape).to(x.dtype) for results, x in zip(found, (query, key, value), strict=False))


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, causal, scale, block_q, block_k):
        output, ctx.logsumexp = flash_attention_forward(query, key, value, causal, scale, block_q, block_k)
        ctx.query, ctx.key, ctx.value, ctx.output = query.detach(), key.detach(), value.detach(), output.detach()
        ctx.settings = {"causal": causal, "scale": scale, "block_q": block_q, "block_k": block_k}
        return output

    @staticmethod
    def backward(ctx, grad_output):
        grads = flash_attention_backward(grad_output, ctx.query, ctx.key, ctx.value, ctx.output, ctx.logsumexp, **ctx.settings)
        return *(g if needed else None for g, needed in zip(grads, ctx.needs_input_grad, strict=False)), None, None, None, None


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
