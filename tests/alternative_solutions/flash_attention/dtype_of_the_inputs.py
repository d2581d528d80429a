"""Low precision stays low inside; a setup_context; autograd differentiates the scores of each tile in the backward pass."""

import math

import torch


def _settings(query, key, value, scale, block_q, block_k):
    if block_q < 1 or block_k < 1:
        raise ValueError(f"blocks must be positive, got ({block_q}, {block_k})")
    try:
        same = (
            query.dim() > 1
            and query.shape[:-2] == key.shape[:-2] == value.shape[:-2]
            and query.shape[-1] == key.shape[-1]
            and key.shape[-2] == value.shape[-2]
        )
    except IndexError:
        same = False
    if not same:
        raise ValueError(f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)} do not fit together")
    return 1 / math.sqrt(query.shape[-1]) if scale is None else scale


def _scores(q, k, scale, i, j, offset, causal):
    scores = scale * torch.matmul(q, k.transpose(-2, -1))
    if not causal:
        return scores
    future = torch.arange(j, j + k.shape[-2]) > offset + torch.arange(i, i + q.shape[-2])[:, None]
    return scores.masked_fill(future, -math.inf)


def flash_attention_forward(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    scale = _settings(query, key, value, scale, block_q, block_k)
    offset = key.shape[-2] - query.shape[-2]
    outputs, sums = [], []
    for i, q in zip(range(0, query.shape[-2], block_q), query.split(block_q, dim=-2), strict=False):
        m = q.new_full(q.shape[:-1], -math.inf)
        total, o = q.new_zeros(q.shape[:-1]), q.new_zeros(*q.shape[:-1], value.shape[-1])
        for j, k, v in zip(range(0, key.shape[-2], block_k), key.split(block_k, dim=-2), value.split(block_k, dim=-2), strict=False):
            if causal and j > offset + i + q.shape[-2] - 1:
                break
            s = _scores(q, k, scale, i, j, offset, causal)
            m_new = torch.maximum(m, s.amax(-1))
            subtracted = m_new.masked_fill(m_new == -math.inf, 0)
            p = torch.exp(s - subtracted[..., None])
            fade = torch.exp(m - subtracted)
            total = fade * total + p.sum(-1)
            o = fade[..., None] * o + p @ v
            m = m_new
        outputs.append((o / total[..., None]).masked_fill((total == 0)[..., None], 0))
        sums.append(m + total.log())
    wide = torch.float64 if query.dtype == torch.float64 else torch.float32
    return torch.cat(outputs, -2), torch.cat(sums, -1).to(wide)


def flash_attention_backward(grad_output, query, key, value, output, logsumexp, causal, scale, block_q, block_k):
    scale = _settings(query, key, value, scale, block_q, block_k)
    offset = key.shape[-2] - query.shape[-2]
    dq, dk, dv = [torch.zeros(x.shape, dtype=x.dtype) for x in (query, key, value)]
    delta = (grad_output * output).sum(-1, keepdim=True)
    for j in range(0, key.shape[-2], block_k):
        keys = slice(j, j + block_k)
        for i in range(0, query.shape[-2], block_q):
            rows = slice(i, min(i + block_q, query.shape[-2]))
            if causal and j > offset + rows.stop - 1:
                continue
            with torch.enable_grad():
                q, k = query[..., rows, :].detach().requires_grad_(), key[..., keys, :].detach().requires_grad_()
                s = _scores(q, k, scale, i, j, offset, causal)
            shift = logsumexp[..., rows, None].to(s.dtype)
            p = torch.exp(s.detach() - shift.masked_fill(shift == -math.inf, 0))
            ds = p * (grad_output[..., rows, :] @ value[..., keys, :].transpose(-2, -1) - delta[..., rows, :])
            of_q, of_k = torch.autograd.grad(s, (q, k), ds)
            dq[..., rows, :] += of_q
            dk[..., keys, :] += of_k
            dv[..., keys, :] += p.transpose(-2, -1) @ grad_output[..., rows, :]
    return dq, dk, dv


class FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(query, key, value, causal, scale, block_q, block_k):
        return flash_attention_forward(query, key, value, causal, scale, block_q, block_k)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.settings = inputs[3:]
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs[:3], *output)

    @staticmethod
    def backward(ctx, grad_output, _grad_logsumexp):
        return (*flash_attention_backward(grad_output, *ctx.saved_tensors, *ctx.settings), None, None, None, None)


def flash_attention(query, key, value, causal=False, scale=None, block_q=64, block_k=64):
    output, _ = FlashAttention.apply(query, key, value, causal, scale, block_q, block_k)
    return output
