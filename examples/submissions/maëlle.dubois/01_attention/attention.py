# Devoir 1, Maëlle Dubois
import torch


def padding_mask(token_ids, pad_id):
    if token_ids.dim() != 2:
        raise ValueError(f"token_ids must be 2-D: {tuple(token_ids.shape)}")
    if token_ids.dtype not in [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]:
        raise ValueError(f"token_ids must be integers: {token_ids.dtype}")
    return token_ids == pad_id


def causal_mask(query_length, key_length=None):
    key_length = query_length if key_length is None else key_length
    if query_length < 1 or key_length < 1:
        raise ValueError(f"lengths must be at least 1: {query_length}, {key_length}")
    return ~torch.ones(query_length, key_length, dtype=torch.bool).tril(key_length - query_length)


def combine_masks(padding=None, causal=None):
    for mask in [padding, causal]:
        if mask is not None and mask.dtype != torch.bool:
            raise ValueError(f"mask must be bool: {mask.dtype}")
        if mask is not None and mask.dim() != 2:
            raise ValueError(f"mask must be 2-D: {tuple(mask.shape)}")
    if padding is not None:
        padding = padding[:, None, None, :]
    if padding is None or causal is None:
        return padding if causal is None else causal
    if padding.shape[3] != causal.shape[1]:
        raise ValueError(f"number of keys: {padding.shape[3]} and {causal.shape[1]}")
    return padding | causal


def scaled_dot_product_attention(query, key, value, mask=None):
    if query.dim() < 2 or key.dim() < 2 or value.dim() < 2:
        raise ValueError("query, key and value need 2 dimensions")
    if not (query.shape[:-2] == key.shape[:-2] == value.shape[:-2]):
        raise ValueError("leading dimensions must be equal")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(f"shapes: {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}")
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    if mask is not None:
        if mask.dtype != torch.bool:
            raise ValueError(f"mask must be bool: {mask.dtype}")
        try:
            mask = mask.expand(scores.shape)
        except RuntimeError:
            raise ValueError(f"mask {tuple(mask.shape)} does not broadcast to {tuple(scores.shape)}")
        scores = scores.masked_fill(mask, -1e9)
    weights = torch.softmax(scores, dim=-1)
    return weights @ value, weights
