import math

import torch


def padding_mask(token_ids, pad_id):
    if token_ids.dim() != 2 or token_ids.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        raise ValueError(f"expected 2-D integers, got {token_ids.dtype} {tuple(token_ids.shape)}")
    return token_ids == pad_id


def causal_mask(query_length, key_length=None):
    if key_length is None:
        key_length = query_length
    if query_length < 1 or key_length < 1:
        raise ValueError(f"lengths must be >= 1, got {query_length} and {key_length}")
    return torch.ones(query_length, key_length, dtype=torch.bool).triu(key_length - query_length + 1)


def combine_masks(padding=None, causal=None):
    if padding is None and causal is None
        return None
    if padding is None:
        return causal
    if causal is None:
        return padding[:, None, None, :]
    return padding[:, None, None, :] | causal


def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))
    if mask is not None:
        scores = scores.masked_fill(mask, -math.inf)
    weights = scores.softmax(dim=-1).nan_to_num(0.0)
    return weights @ value, weights
