"""Every tile gives a finished attention of its own; two of them are merged by their logsumexps. No running maximum anywhere."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

INF = float("inf")


@dataclass
class Part:
    """Attention over some of the keys: an average (..., n, Dv) and the logsumexp (..., n) of the scores that made it."""

    average: Tensor
    lse: Tensor

    def __add__(self, other: Part) -> Part:
        lse = torch.logaddexp(self.lse, other.lse)
        mine, theirs = (torch.exp(torch.where(lse == -INF, -INF, part.lse - lse)).unsqueeze(-1) for part in (self, other))
        return Part(mine * self.average + theirs * other.average, lse)


class Problem:
    def __init__(self, query, key, value, causal, scale, block_q, block_k):
        named = {"query": query, "key": key, "value": value}
        if any(x.dim() < 2 for x in named.values()):
            raise ValueError(f"too few dimensions: { {name: tuple(x.shape) for name, x in named.items()} }")
        for name in ("key", "value"):
            if named[name].shape[:-2] != query.shape[:-2]:
                raise ValueError(f"{name} has leading dimensions {tuple(named[name].shape[:-2])}, query has {tuple(query.shape[:-2])}")
        if key.size(-1) != query.size(-1):
            raise ValueError(f"key has {key.size(-1)} features and query has {query.size(-1)}")
        if value.size(-2) != key.size(-2):
            raise ValueError(f"{value.size(-2)} values for {key.size(-2)} keys")
        for name, block in (("block_q", block_q), ("block_k", block_k)):
            if block < 1:
                raise ValueError(f"{name} is {block}; it must be positive")
        self.compute = torch.float64 if query.dtype == torch.float64 else torch.float32
        self.inputs = query, key, value
        self.L, self.S = query.size(-2), key.size(-2)
        self.causal, self.block_q, self.block_k = causal, block_q, block_k
        self.scale = query.size(-1) ** -0.5 if scale is None else scale

    def spans(self):
        return [(i, min(i + self.block_q, self.L)) for i in range(0, self.L, self.block_q)]

    def seen_by(self, last):
        stop = min(self.S, last + self.S - self.L) if self.causal else self.S
        return [(j, min(j + self.block_k, self.S)) for j in range(0, stop, self.block_k)]

    def part(self, x, start, stop):
        return x[..., start:stop, :].to(self.compute)

    def scores(self, q, k, i, j):
        s = q @ k.mT * self.scale
        if self.causal:
            s = s + torch.full(s.shape[-2:], -INF, dtype=s.dtype).triu(i - j + self.S - self.L + 1)
        return s


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    problem = Problem(query, key, value, causal, scale, block_q, block_k)
    averages, lses = [], []
    for i, last in problem.spans():
        q = problem.part(query, i, last)
        nothing = Part(q.new_zeros(*q.shape[:-1], value.size(-1)), q.new_full(q.shape[:-1], -INF))

        def attend(j, stop, q=q, i=i):
            s = problem.scores(q, problem.part(key, j, stop), i, j)
            return Part(torch.softmax(s, -1).nan_to_num(0.0) @ problem.part(value, j, stop), torch.logsumexp(s, -1))

        whole = functools.reduce(lambda part, span: part + attend(*span), problem.seen_by(last), nothing)
        averages.append(whole.average.to(query.dtype))
        lses.append(whole.lse)
    return torch.cat(averages, -2), torch.cat(lses, -1)


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    problem = Problem(query, key, value, causal, scale, block_q, block_k)
    grads = [torch.zeros(x.shape, dtype=problem.compute) for x in problem.inputs]
    blind = logsumexp == -INF
    for i, last in problem.spans():
        q, do, o = (problem.part(x, i, last) for x in (query, grad_output, output))
        delta = torch.linalg.vecdot(do, o).unsqueeze(-1)
        lse = logsumexp[..., i:last].masked_fill(blind[..., i:last], INF).unsqueeze(-1)  # exp(anything - inf) is 0
        for j, stop in problem.seen_by(last):
            k, v = problem.part(key, j, stop), problem.part(value, j, stop)
            p = torch.exp(problem.scores(q, k, i, j) - lse)
            ds = p * (do @ v.mT - delta) * problem.scale
            grads[0][..., i:last, :] += ds @ k
            grads[1][..., j:stop, :] += ds.mT @ q
            grads[2][..., j:stop, :] += p.mT @ do
    return tuple(grad.to(x.dtype) for grad, x in zip(grads, problem.inputs))


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(query, key, value, causal, scale, block_q, block_k):
        return flash_attention_forward(query, key, value, causal, scale, block_q, block_k)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:3], *output)
        ctx.mark_non_differentiable(output[1])
        ctx.settings = inputs[3:]

    @staticmethod
    def backward(ctx, grad_output, _):
        return flash_attention_backward(grad_output, *ctx.saved_tensors, *ctx.settings) + (None,) * 4


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)[0]
