"""Each tile is softmaxed by itself and merged by its logsumexp (ring attention); divide and conquer over the key blocks."""

from dataclasses import dataclass

import torch


@dataclass
class Partial:
    out: torch.Tensor  # normalised
    lse: torch.Tensor

    def __add__(self, other):
        lse = torch.logaddexp(self.lse, other.lse)
        ref = torch.where(torch.isinf(lse), torch.zeros_like(lse), lse)
        return Partial(self.out * torch.exp(self.lse - ref)[..., None] + other.out * torch.exp(other.lse - ref)[..., None], lse)


class Geometry:
    def __init__(self, L, S, causal, bq, bk):
        self.L, self.S, self.causal, self.bq, self.bk = L, S, causal, bq, bk

    def rows(self):
        return [(a, min(a + self.bq, self.L)) for a in range(0, self.L, self.bq)]

    def cols(self, a1):
        end = min(self.S, a1 + self.S - self.L) if self.causal else self.S
        return [(b, min(b + self.bk, self.S)) for b in range(0, max(end, 0), self.bk)]

    def bias(self, a0, a1, b0, b1, like):
        if not self.causal or b1 - 1 <= a0 + self.S - self.L:
            return None
        return torch.full((a1 - a0, b1 - b0), float("-inf"), dtype=like.dtype).triu(a0 + self.S - self.L - b0 + 1)


def _require(condition, message):
    if not condition:
        raise ValueError(message)


def _common(query, key, value, block_q, block_k):
    _require(block_q > 0, f"block_q: {block_q}")
    _require(block_k > 0, f"block_k: {block_k}")
    for n, t in {"query": query, "key": key, "value": value}.items():
        _require(t.dim() >= 2, f"{n} has shape {tuple(t.shape)}")
    _require(query.shape[:-2] == key.shape[:-2], f"query {query.shape}, key {key.shape}")
    _require(value.shape[:-1] == key.shape[:-1], f"value {value.shape}, key {key.shape}")
    _require(query.shape[-1] == key.shape[-1], f"query {query.shape}, key {key.shape}")


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    _common(query, key, value, block_q, block_k)
    compute = query.dtype if query.dtype in (torch.float32, torch.float64) else torch.float32
    if scale is None:
        scale = query.size(-1) ** -0.5
    geo = Geometry(query.size(-2), key.size(-2), causal, block_q, block_k)
    outs, lses = [], []
    for a0, a1 in geo.rows():
        q = query[..., a0:a1, :].to(compute)

        def tile(b0, b1, q=q, a0=a0, a1=a1):
            s = torch.matmul(q, key[..., b0:b1, :].to(compute).transpose(-2, -1)).mul(scale)
            bias = geo.bias(a0, a1, b0, b1, s)
            if bias is not None:
                s = s + bias
            return Partial(torch.nan_to_num(torch.softmax(s, -1)) @ value[..., b0:b1, :].to(compute), torch.logsumexp(s, -1))

        def reduce(cols):
            if len(cols) == 1:
                return tile(*cols[0])
            h = len(cols) // 2
            return reduce(cols[:h]) + reduce(cols[h:])

        cols = geo.cols(a1)
        part = reduce(cols) if cols else Partial(q.new_zeros(*q.shape[:-1], value.size(-1)), q.new_full(q.shape[:-1], float("-inf")))
        outs.append(part.out.to(query.dtype))
        lses.append(part.lse)
    return torch.cat(outs, -2), torch.cat(lses, -1)


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    _common(query, key, value, block_q, block_k)
    _require(grad_output.shape == output.shape == query.shape[:-1] + value.shape[-1:], f"grad_output {grad_output.shape} output {output.shape}")
    _require(logsumexp.shape == query.shape[:-1], f"logsumexp {logsumexp.shape}")
    compute = query.dtype if query.dtype in (torch.float32, torch.float64) else torch.float32
    if scale is None:
        scale = query.size(-1) ** -0.5
    geo = Geometry(query.size(-2), key.size(-2), causal, block_q, block_k)
    gq = []
    gk, gv = torch.zeros_like(key, dtype=compute), torch.zeros_like(value, dtype=compute)
    D = grad_output.to(compute).mul(output.to(compute)).sum(-1, keepdim=True)
    for a0, a1 in geo.rows():
        q, do = query[..., a0:a1, :].to(compute), grad_output[..., a0:a1, :].to(compute)
        g = torch.zeros_like(q)
        for b0, b1 in geo.cols(a1):
            k, v = key[..., b0:b1, :].to(compute), value[..., b0:b1, :].to(compute)
            s = q @ k.mT * scale
            bias = geo.bias(a0, a1, b0, b1, s)
            if bias is not None:
                s = s + bias
            p = torch.nan_to_num(torch.exp(s - logsumexp[..., a0:a1, None]))
            gv[..., b0:b1, :] += p.mT @ do
            ds = p * (do @ v.mT - D[..., a0:a1, :])
            g += ds @ k
            gk[..., b0:b1, :] += ds.mT @ q * scale
        gq.append(g * scale)
    return torch.cat(gq, -2).to(query.dtype), gk.to(key.dtype), gv.to(value.dtype)


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *args):
        query, key, value, *rest = args
        out, lse = flash_attention_forward(*args)
        ctx.mark_non_differentiable(lse)
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.rest = rest
        return out, lse

    @staticmethod
    def backward(ctx, dout, dlse):
        return *flash_attention_backward(dout, *ctx.saved_tensors, *ctx.rest), None, None, None, None


def flash_attention(*args, **kwargs):
    import inspect

    b = inspect.signature(flash_attention_forward).bind(*args, **kwargs)
    b.apply_defaults()
    return FlashAttention.apply(*b.arguments.values())[0]
