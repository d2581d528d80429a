"""As short as it gets, with one helper that raises."""

import torch


def check(holds, words):
    if not holds:
        raise ValueError(words)


def padding_mask(token_ids, pad_id):
    check(token_ids.dim() == 2 and not token_ids.is_floating_point(), f"{token_ids.shape} {token_ids.dtype}")
    return token_ids == pad_id


def causal_mask(query_length, key_length=None):
    S = query_length if key_length is None else key_length
    check(query_length > 0 and S > 0, f"{query_length} {S}")
    return torch.triu(torch.ones(query_length, S, dtype=torch.bool), 1 + S - query_length)


def combine_masks(padding=None, causal=None):
    p, c = padding, causal
    check(all(m is None or (m.dtype == torch.bool and m.dim() == 2) for m in (p, c)), "masks are (.., S) bool")
    check(p is None or c is None or p.shape[1] == c.shape[1], "S differs")
    return c if p is None else p[:, None, None] if c is None else p[:, None, None] | c


def scaled_dot_product_attention(query, key, value, mask=None):
    q, k, v = query, key, value
    check(
        all(x.dim() > 1 for x in (q, k, v)) and q.shape[:-2] == k.shape[:-2] and k.shape[:-1] == v.shape[:-1] and q.shape[-1] == k.shape[-1], "shapes"
    )
    s = q @ k.mT / q.shape[-1] ** 0.5
    if mask is not None:
        check(mask.dtype == torch.bool, "mask is not bool")
        check(mask.dim() <= s.dim() and all(a in (1, b) for a, b in zip(mask.shape[::-1], s.shape[::-1], strict=False)), "mask does not fit")
        s = s.where(~mask, -1e9).softmax(-1) * ~mask
    else:
        s = s.softmax(-1)
    return s @ v, s
