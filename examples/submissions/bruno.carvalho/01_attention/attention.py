# Bruno Carvalho, HW1
import math

import torch


def padding_mask(token_ids, pad_id):
    integer_types = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]
    if token_ids.dim() != 2 or token_ids.dtype not in integer_types:
        raise ValueError(f"token_ids: need 2-D integers, got {token_ids.dtype} {tuple(token_ids.shape)}")
    return token_ids == pad_id


def causal_mask(query_length, key_length=None):
    if key_length is None:
        key_length = query_length
    if min(query_length, key_length) < 1:
        raise ValueError(f"lengths must be positive: query_length={query_length}, key_length={key_length}")
    mask = torch.zeros(query_length, key_length, dtype=torch.bool)
    for i in range(query_length):
        last_visible = i + key_length - query_length
        mask[i, max(0, last_visible + 1):] = True
    return mask


def combine_masks(padding=None, causal=None):
    def check(m, name):
        if m.dtype != torch.bool or m.dim() != 2:
            raise ValueError(f"{name}: need a 2-D bool mask, got {m.dtype} {tuple(m.shape)}")

    if padding is not None:
        check(padding, "padding")
        padding = padding.unsqueeze(1).unsqueeze(1)
    if causal is not None:
        check(causal, "causal")
    if padding is None or causal is None:
        return causal if padding is None else padding
    if padding.shape[-1] != causal.shape[-1]:
        raise ValueError(f"padding has {padding.shape[-1]} keys and causal {causal.shape[-1]}")
    return padding | causal


def scaled_dot_product_attention(query, key, value, mask=None):
    if query.dim() < 2 or key.dim() < 2 or value.dim() < 2:
        raise ValueError("query, key, value must be at least 2-D")
    *lead, L, D = query.shape
    S = key.shape[-2]
    if list(key.shape) != [*lead, S, D]:
        raise ValueError(f"key {tuple(key.shape)} does not fit query {tuple(query.shape)}")
    if list(value.shape[:-1]) != [*lead, S]:
        raise ValueError(f"value {tuple(value.shape)} does not fit key {tuple(key.shape)}")

    s = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(D)
    if mask is not None:
        if mask.dtype != torch.bool:
            raise ValueError(f"mask has dtype {mask.dtype}, not bool")
        try:
            ok = torch.broadcast_shapes(mask.shape, s.shape) == s.shape
        except RuntimeError:
            ok = False
        if not ok:
            raise ValueError(f"mask {tuple(mask.shape)} cannot be broadcast to {tuple(s.shape)}")
        s = s.masked_fill(mask, -math.inf)
    # softmax by hand, rows without any key: max is -inf, use 0 there
    top = s.amax(dim=-1, keepdim=True).detach()
    top = torch.where(torch.isinf(top), torch.zeros_like(top), top)
    e = torch.exp(s - top)
    total = e.sum(dim=-1, keepdim=True)
    w = e / torch.where(total == 0, torch.ones_like(total), total)
    return torch.matmul(w, value), w
