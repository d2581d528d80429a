# 佐藤 花  Homework 1
import math
import torch

INTEGERS = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}

def padding_mask(token_ids, pad_id):
    if token_ids.dim() != 2:
        raise ValueError(f"token_ids has {token_ids.dim()} dimensions, expected 2")
    if token_ids.dtype not in INTEGERS:
        raise ValueError(f"token_ids has dtype {token_ids.dtype}, expected integers")
    return token_ids == pad_id

def causal_mask(query_length, key_length=None):
    if key_length is None:
        key_length = query_length
    if query_length < 1:
        raise ValueError(f"query_length = {query_length}")
    if key_length < 1:
        raise ValueError(f"key_length = {key_length}")
    visible = torch.ones(query_length, key_length).tril(key_length - query_length)
    return visible == 0

def combine_masks(padding=None, causal=None):
    if padding is None and causal is None:
        return None
    if padding is not None and (padding.dtype is not torch.bool or padding.dim() != 2):
        raise ValueError(f"padding: {padding.dtype}, {padding.dim()}-D")
    if causal is not None and (causal.dtype is not torch.bool or causal.dim() != 2):
        raise ValueError(f"causal: {causal.dtype}, {causal.dim()}-D")
    if padding is None:
        return causal.clone()
    b, s = padding.shape
    if causal is None:
        return padding.clone().view(b, 1, 1, s)
    if causal.shape[1] != s:
        raise ValueError(f"padding has {s} keys, causal has {causal.shape[1]}")
    l = causal.shape[0]
    visible = ~padding.view(b, 1, 1, s).expand(b, 1, l, s) & ~causal  # visible only if both masks say so
    return ~visible

def scaled_dot_product_attention(query, key, value, mask=None):
    if query.dim() < 2 or query.dim() != key.dim() or query.dim() != value.dim():
        raise ValueError(f"dimensions: query {query.dim()}, key {key.dim()}, value {value.dim()}")
    if query.shape[:-2] != key.shape[:-2] or query.shape[:-2] != value.shape[:-2]:
        raise ValueError("leading dimensions are different")
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(f"query has {query.shape[-1]} features, key has {key.shape[-1]}")
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"{key.shape[-2]} keys but {value.shape[-2]} values")
    scores = query @ key.transpose(-1, -2)
    scores = scores * (1.0 / math.sqrt(query.shape[-1]))
    if mask is None:
        p = scores.softmax(dim=-1)
    else:
        if mask.dtype is not torch.bool:
            raise ValueError(f"mask has dtype {mask.dtype}, expected bool")
        try:
            mask = torch.broadcast_to(mask, scores.shape)
        except RuntimeError as e:
            raise ValueError(f"mask has shape {tuple(mask.shape)}, scores {tuple(scores.shape)}") from e
        low = torch.finfo(scores.dtype).min
        p = torch.where(mask, low, scores).softmax(dim=-1)
        p = torch.where(mask, 0.0, p)
    return p @ value, p
