"""The running output is always an average: two parts are merged by the logaddexp of their logsumexps, tile by tile."""

import torch
from torch import Tensor


class Shapes:
    """Sizes of one call, checked."""

    def __init__(self, query: Tensor, key: Tensor, value: Tensor, causal: bool, scale: float | None, block_q: int, block_k: int) -> None:
        if block_q < 1 or block_k < 1:
            raise ValueError(f"block sizes are {block_q} and {block_k}; both must be 1 or more")
        if query.dim() < 2 or key.dim() < 2 or value.dim() < 2:
            raise ValueError(f"too few dimensions: {query.dim()}, {key.dim()}, {value.dim()}")
        *lead, self.L, self.D = query.shape
        *key_lead, self.S, key_width = key.shape
        *value_lead, values, self.Dv = value.shape
        if not (lead == key_lead == value_lead):
            raise ValueError(f"leading dimensions {lead}, {key_lead}, {value_lead} are not equal")
        if key_width != self.D:
            raise ValueError(f"a query has {self.D} features and a key {key_width}")
        if values != self.S:
            raise ValueError(f"{self.S} keys for {values} values")
        self.causal, self.block_q, self.block_k = causal, block_q, block_k
        self.scale = self.D**-0.5 if scale is None else scale
        self.dtype = torch.float64 if query.dtype == torch.float64 else torch.float32

    def pairs(self):
        """(rows, columns, hidden or None) of each tile with a visible pair."""
        for i in range(0, self.L, self.block_q):
            rows = range(i, min(i + self.block_q, self.L))
            for j in range(0, self.S, self.block_k):
                columns = range(j, min(j + self.block_k, self.S))
                hidden = None
                if self.causal:
                    if columns[0] > rows[-1] + self.S - self.L:
                        break
                    if columns[-1] > rows[0] + self.S - self.L:
                        hidden = torch.tensor(columns) > torch.tensor(rows).unsqueeze(1) + self.S - self.L
                yield slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1), hidden


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    s = Shapes(query, key, value, causal, scale, block_q, block_k)
    average = torch.zeros(*query.shape[:-1], s.Dv, dtype=s.dtype)
    logsumexp = torch.full(query.shape[:-1], float("-inf"), dtype=s.dtype)
    for rows, columns, hidden in s.pairs():
        scores = s.scale * (query[..., rows, :].to(s.dtype) @ key[..., columns, :].to(s.dtype).transpose(-1, -2))
        if hidden is not None:
            scores.masked_fill_(hidden, float("-inf"))
        of_tile = torch.logsumexp(scores, dim=-1)
        weights = torch.where((of_tile == float("-inf")).unsqueeze(-1), 0.0, torch.softmax(scores, dim=-1))
        merged = torch.logaddexp(logsumexp[..., rows], of_tile)
        known = torch.where(merged == float("-inf"), 0.0, merged)
        old_share = torch.exp(logsumexp[..., rows] - known).unsqueeze(-1)
        new_share = torch.exp(of_tile - known).unsqueeze(-1)
        average[..., rows, :] = old_share * average[..., rows, :] + new_share * (weights @ value[..., columns, :].to(s.dtype))
        logsumexp[..., rows] = merged
    return average.to(query.dtype), logsumexp


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    s = Shapes(query, key, value, causal, scale, block_q, block_k)
    gradients = [torch.zeros(x.shape, dtype=s.dtype) for x in (query, key, value)]
    delta = torch.linalg.vecdot(grad_output.to(s.dtype), output.to(s.dtype))
    finite = torch.nan_to_num(logsumexp, neginf=0.0)
    for rows, columns, hidden in s.pairs():
        q, d = query[..., rows, :].to(s.dtype), grad_output[..., rows, :].to(s.dtype)
        k, v = key[..., columns, :].to(s.dtype), value[..., columns, :].to(s.dtype)
        weights = torch.exp(s.scale * (q @ k.mT) - finite[..., rows, None])
        if hidden is not None:
            # Not masked_fill of the scores: exp of a hidden score may overflow, and is thrown away.
            weights = torch.where(hidden, 0.0, weights)
        grad_scores = s.scale * weights * (d @ v.mT - delta[..., rows, None])
        gradients[0][..., rows, :] += grad_scores @ k
        gradients[1][..., columns, :] += grad_scores.mT @ q
        gradients[2][..., columns, :] += weights.mT @ d
    return tuple(gradient.to(x.dtype) for gradient, x in zip(gradients, (query, key, value), strict=False))


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, *arguments):
        output, logsumexp = flash_attention_forward(*arguments)
        ctx.save_for_backward(*arguments[:3], output, logsumexp)
        ctx.settings = arguments[3:]
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_output):
        return (*flash_attention_backward(grad_output, *ctx.saved_tensors, *ctx.settings), *[None] * 4)


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    return FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
