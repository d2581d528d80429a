"""Written with einsum; finite fill chosen with torch.where, hidden weights set to 0 after the softmax."""

import torch


def padding_mask(token_ids, pad_id):
    if token_ids.ndim != 2 or torch.is_floating_point(token_ids):
        raise ValueError(f"want (B, S) integers, got {tuple(token_ids.shape)} {token_ids.dtype}")
    return token_ids.eq(pad_id)


def causal_mask(query_length, key_length=None):
    key_length = query_length if key_length is None else key_length
    if min(query_length, key_length) < 1:
        raise ValueError(f"query_length={query_length} and key_length={key_length} must be positive")
    return torch.ones(query_length, key_length, dtype=torch.bool).triu(diagonal=1 + key_length - query_length)


def combine_masks(padding=None, causal=None):
    for mask in (padding, causal):
        if mask is not None and (mask.dtype is not torch.bool or mask.ndim != 2):
            raise ValueError(f"masks are 2-D and bool, got {tuple(mask.shape)} {mask.dtype}")
    if padding is not None and causal is not None and padding.shape[-1] != causal.shape[-1]:
        raise ValueError(f"key lengths differ: {padding.shape[-1]} and {causal.shape[-1]}")
    if padding is not None:
        padding = padding[:, None, None]
    if padding is None or causal is None:
        return causal if padding is None else padding
    return torch.logical_or(padding, causal)


def scaled_dot_product_attention(query, key, value, mask=None):
    if query.ndim < 2 or key.ndim < 2 or value.ndim < 2:
        raise ValueError("query, key and value have at least two dimensions")
    *lead, _, width = query.shape
    keys = key.shape[-2]
    if list(key.shape) != [*lead, keys, width] or list(value.shape[:-1]) != [*lead, keys]:
        raise ValueError(f"shapes {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)} do not fit")
    scores = torch.einsum("...ld,...sd->...ls", query, key) * width**-0.5
    if mask is None:
        weights = scores.softmax(-1)
    else:
        if mask.dtype != torch.bool:
            raise ValueError(f"mask is {mask.dtype}, not bool")
        try:
            mask = mask.broadcast_to(scores.shape)
        except RuntimeError as error:
            raise ValueError(f"mask {tuple(mask.shape)} does not broadcast to {tuple(scores.shape)}") from error
        lowest = torch.tensor(torch.finfo(scores.dtype).min, dtype=scores.dtype)
        weights = torch.where(mask, lowest, scores).softmax(-1)
        weights = torch.where(mask, torch.zeros((), dtype=scores.dtype), weights)
    return torch.einsum("...ls,...sv->...lv", weights, value), weights
