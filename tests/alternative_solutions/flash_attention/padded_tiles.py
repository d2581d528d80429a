"""Every tile is full: the inputs are padded to whole blocks, padding is hidden like the future, and the results are cut."""

import torch
import torch.nn.functional as F

NEG = float("-inf")


def check(query, key, value, block_q, block_k):
    problems = []
    if query.dim() < 2 or key.dim() < 2 or value.dim() < 2:
        problems.append("at least two dimensions are needed")
    elif query.shape[:-2] != key.shape[:-2] or query.shape[:-2] != value.shape[:-2]:
        problems.append("leading dimensions must be equal")
    elif query.size(-1) != key.size(-1):
        problems.append("query and key differ in width")
    elif key.size(-2) != value.size(-2):
        problems.append("key and value differ in length")
    if block_q < 1 or block_k < 1:
        problems.append(f"blocks {block_q} and {block_k} must be at least 1")
    if problems:
        raise ValueError(f"{'; '.join(problems)}: {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}")


class Tiles:
    def __init__(self, L, S, causal, block_q, block_k):
        # A block longer than the sequence is cut to it.
        self.L, self.S, self.causal = L, S, causal
        self.bq, self.bk = min(block_q, L), min(block_k, S)

    def rows(self, x):
        return F.pad(x, (0, 0, 0, -self.L % self.bq)).unflatten(-2, (-1, self.bq))

    def columns(self, x):
        return F.pad(x, (0, 0, 0, -self.S % self.bk)).unflatten(-2, (-1, self.bk))

    def visible(self, a, b):
        """Bool (bq, bk), or None when nothing of the tile is visible."""
        i = torch.arange(a * self.bq, (a + 1) * self.bq).view(-1, 1)
        j = torch.arange(b * self.bk, (b + 1) * self.bk).view(1, -1)
        seen = (j < self.S) & (i < self.L)
        if self.causal:
            seen = seen & (j <= i + self.S - self.L)
        return seen if seen.any() else None


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    check(query, key, value, block_q, block_k)
    t = Tiles(query.size(-2), key.size(-2), causal, block_q, block_k)
    wide = torch.promote_types(torch.float32, query.dtype)
    scale = query.size(-1) ** -0.5 if scale is None else scale
    q, k, v = t.rows(query.to(wide)), t.columns(key.to(wide)), t.columns(value.to(wide))
    out = q.new_zeros(*q.shape[:-1], v.size(-1))
    lse = q.new_full(q.shape[:-1], NEG)
    for a in range(q.size(-3)):
        m, total, o = lse[..., a, :].clone(), q.new_zeros((*q.shape[:-3], t.bq)), out[..., a, :, :].clone()
        for b in range(k.size(-3)):
            seen = t.visible(a, b)
            if seen is None:
                continue
            s = (q[..., a, :, :] @ k[..., b, :, :].transpose(-1, -2) * scale).masked_fill(~seen, NEG)
            top = torch.maximum(m, s.amax(-1))
            stable = torch.nan_to_num(top, neginf=0.0)
            p = torch.exp(s - stable[..., None])
            fade = torch.exp(m - stable)
            total = total * fade + p.sum(-1)
            o = o * fade[..., None] + p @ v[..., b, :, :]
            m = top
        out[..., a, :, :] = torch.nan_to_num(o / total[..., None], nan=0.0)
        lse[..., a, :] = m + torch.log(total)
    return out.flatten(-3, -2)[..., : t.L, :].to(query.dtype), lse.flatten(-2)[..., : t.L].contiguous()


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    check(query, key, value, block_q, block_k)
    t = Tiles(query.size(-2), key.size(-2), causal, block_q, block_k)
    wide = logsumexp.dtype
    scale = query.size(-1) ** -0.5 if scale is None else scale
    delta = (grad_output.to(wide) * output.to(wide)).sum(-1, keepdim=True)
    q, do, delta, lse = (t.rows(x.to(wide)) for x in (query, grad_output, delta, logsumexp[..., None]))
    k, v = t.columns(key.to(wide)), t.columns(value.to(wide))
    dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for a in range(q.size(-3)):
        for b in range(k.size(-3)):
            seen = t.visible(a, b)
            if seen is None:
                continue
            s = q[..., a, :, :] @ k[..., b, :, :].transpose(-1, -2) * scale
            p = torch.exp(s - lse[..., a, :, :]).where(seen, s.new_zeros(()))
            ds = p * (do[..., a, :, :] @ v[..., b, :, :].transpose(-1, -2) - delta[..., a, :, :])
            dv[..., b, :, :] += p.transpose(-1, -2) @ do[..., a, :, :]
            dq[..., a, :, :] += ds @ k[..., b, :, :] * scale
            dk[..., b, :, :] += ds.transpose(-1, -2) @ q[..., a, :, :] * scale
    flat = [x.flatten(-3, -2) for x in (dq, dk, dv)]
    return tuple(x[..., : like.size(-2), :].to(like.dtype) for x, like in zip(flat, (query, key, value), strict=False))


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, causal, scale, block_q, block_k):
        output, logsumexp = flash_attention_forward(query, key, value, causal, scale, block_q, block_k)
        ctx.save_for_backward(query, key, value, output, logsumexp)
        ctx.settings = causal, scale, block_q, block_k
        return output

    @staticmethod
    def backward(ctx, grad_output):
        return *flash_attention_backward(grad_output, *ctx.saved_tensors, *ctx.settings), None, None, None, None


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
