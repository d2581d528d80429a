"""Homework 1, Chiara Moretti"""

import torch


def padding_mask(token_ids, pad_id):
    if token_ids.dim() != 2:
        raise ValueError(f"token_ids should have 2 dimensions, not {token_ids.dim()}")
    if token_ids.dtype == torch.bool or token_ids.is_floating_point() or token_ids.is_complex():
        raise ValueError(f"token_ids should be integers, not {token_ids.dtype}")
    return torch.where(token_ids == pad_id, True, False)


def causal_mask(query_length, key_length=None):
    if key_length is None:
        key_length = query_length
    if query_length < 1 or key_length < 1:
        raise ValueError(f"query_length ({query_length}) and key_length ({key_length}) should be 1 or more")
    # everything above the diagonal is the future
    return torch.triu(torch.ones(query_length, key_length), diagonal=1).bool()


def combine_masks(padding=None, causal=None):
    for m in (padding, causal):
        if m is None:
            continue
        if m.dtype != torch.bool:
            raise ValueError(f"masks should be bool, not {m.dtype}")
        if m.dim() != 2:
            raise ValueError(f"masks should have 2 dimensions, not {m.dim()}")
    if padding is None and causal is None:
        return None
    if causal is None:
        return padding.view(padding.size(0), 1, 1, padding.size(1))
    if padding is None:
        return causal
    if padding.size(1) != causal.size(1):
        raise ValueError(f"different numbers of keys: {padding.size(1)} and {causal.size(1)}")
    return padding.reshape(padding.size(0), 1, 1, padding.size(1)) | causal.unsqueeze(0).unsqueeze(0)


def scaled_dot_product_attention(query, key, value, mask=None):
    if min(query.dim(), key.dim(), value.dim()) < 2:
        raise ValueError("query, key and value should have 2 dimensions or more")
    if query.shape[:-2] != key.shape[:-2] or query.shape[:-2] != value.shape[:-2]:
        raise ValueError(f"batch dimensions differ: {query.shape[:-2]} {key.shape[:-2]} {value.shape[:-2]}")
    if query.size(-1) != key.size(-1):
        raise ValueError(f"query has {query.size(-1)} features, key has {key.size(-1)}")
    if key.size(-2) != value.size(-2):
        raise ValueError(f"there are {key.size(-2)} keys and {value.size(-2)} values")

    scores = torch.matmul(query / query.size(-1) ** 0.5, key.transpose(-2, -1))
    if mask is not None:
        if mask.dtype != torch.bool:
            raise ValueError(f"mask should be bool, not {mask.dtype}")
        try:
            mask = mask.broadcast_to(scores.shape)
        except RuntimeError as error:
            raise ValueError(f"mask does not fit: {mask.shape} vs {scores.shape}") from error
        scores = scores.masked_fill(mask, torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, dim=-1)
    if mask is not None:
        weights = weights.masked_fill(mask, 0.0)  # also the rows in which everything is hidden
    return torch.matmul(weights, value), weights
