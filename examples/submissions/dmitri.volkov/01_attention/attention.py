import torch


def padding_mask(token_ids, pad_id):
    if token_ids.ndim != 2:
        raise ValueError("token_ids must be (B, S), got %s" % (tuple(token_ids.shape),))
    if token_ids.dtype not in (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8):
        raise ValueError("token_ids must be integer, got %s" % token_ids.dtype)
    return token_ids == pad_id


def causal_mask(query_length, key_length=None):
    key_length = query_length if key_length is None else key_length
    if query_length < 1 or key_length < 1:
        raise ValueError("bad lengths %d, %d" % (query_length, key_length))
    i = torch.arange(query_length).view(-1, 1) + (key_length - query_length)
    j = torch.arange(key_length).view(1, -1)
    return j > i


def combine_masks(padding=None, causal=None):
    if padding is not None:
        if padding.dtype != torch.bool or padding.ndim != 2:
            raise ValueError("padding must be 2-D bool")
    if causal is not None:
        if causal.dtype != torch.bool or causal.ndim != 2:
            raise ValueError("causal must be 2-D bool")
    if padding is not None and causal is not None:
        if padding.shape[1] != causal.shape[1]:
            raise ValueError("key lengths differ: %d and %d" % (padding.shape[1], causal.shape[1]))
        return padding[:, None, None] | causal[None, None]
    if padding is not None:
        return padding[:, None, None]
    return causal


def scaled_dot_product_attention(query, key, value, mask=None):
    if query.ndim < 2 or key.ndim < 2 or value.ndim < 2:
        raise ValueError("inputs must be at least 2-D")
    if query.shape[:-2] != key.shape[:-2] or key.shape[:-1] != value.shape[:-1] or query.shape[-1] != key.shape[-1]:
        raise ValueError("shapes do not fit: %s %s %s" % (tuple(query.shape), tuple(key.shape), tuple(value.shape)))
    d_k = query.shape[-1]
    scores = query @ key.mT / d_k  # scaled
    if mask is not None:
        if mask.dtype != torch.bool:
            raise ValueError("mask must be bool, got %s" % mask.dtype)
        try:
            full = mask.expand_as(scores)
        except RuntimeError:
            raise ValueError("mask %s does not broadcast to %s" % (tuple(mask.shape), tuple(scores.shape)))
        scores = scores.masked_fill(full, float("-inf"))
        empty = full.all(-1, keepdim=True)
        scores = scores.masked_fill(empty, 0.0)
        weights = scores.softmax(-1).masked_fill(full, 0.0)
    else:
        weights = scores.softmax(-1)
    return weights @ value, weights
