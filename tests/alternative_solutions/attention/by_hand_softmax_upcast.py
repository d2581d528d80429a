"""The softmax by hand, with the maximum of visible keys taken off; low precision is computed in float32 and cast back."""

import torch

LOW_PRECISION = (torch.bfloat16, torch.float16)


def padding_mask(token_ids, pad_id):
    if token_ids.dim() != 2:
        raise ValueError(f"token_ids.dim() == {token_ids.dim()}")
    try:
        torch.iinfo(token_ids.dtype)
    except TypeError:
        raise ValueError(f"token_ids.dtype == {token_ids.dtype}") from None
    return token_ids == pad_id


def causal_mask(query_length, key_length=None):
    S = query_length if key_length is None else key_length
    if query_length < 1 or S < 1:
        raise ValueError(f"query_length == {query_length}, key_length == {key_length}")
    mask = torch.full((query_length, S), True)
    for row in range(query_length):
        mask[row, : max(0, row + 1 + S - query_length)] = False
    return mask


def combine_masks(padding=None, causal=None):
    for mask in (padding, causal):
        if mask is not None and (mask.dim() != 2 or mask.dtype != torch.bool):
            raise ValueError(f"mask: {mask.dtype}, {tuple(mask.shape)}")
    if padding is None:
        return causal
    if causal is None:
        return padding[:, None, None, :]
    if padding.shape[1] != causal.shape[1]:
        raise ValueError(f"{padding.shape[1]} keys, and {causal.shape[1]}")
    return torch.maximum(padding[:, None, None, :].int(), causal.int()) == 1


def scaled_dot_product_attention(query, key, value, mask=None):
    if any(x.dim() < 2 for x in (query, key, value)):
        raise ValueError([x.shape for x in (query, key, value)])
    if query.shape[:-2] + query.shape[-1:] != key.shape[:-2] + key.shape[-1:] or key.shape[:-1] != value.shape[:-1]:
        raise ValueError([x.shape for x in (query, key, value)])
    dtype = query.dtype
    if dtype in LOW_PRECISION:
        query, key, value = query.float(), key.float(), value.float()
    scores = (query.unsqueeze(-2) * key.unsqueeze(-3)).sum(-1) / torch.tensor(query.size(-1), dtype=query.dtype).sqrt()
    if mask is not None:
        if mask.dtype != torch.bool:
            raise ValueError(mask.dtype)
        if mask.dim() > scores.dim() or torch.Size(torch.broadcast_tensors(mask, scores)[0].shape if _fits(mask, scores) else ()) != scores.shape:
            raise ValueError(mask.shape)
        scores = scores.masked_fill(mask, torch.finfo(scores.dtype).min)
    powers = (scores - scores.amax(-1, keepdim=True)).exp()
    if mask is not None:
        powers = powers * ~mask
    total = powers.sum(-1, keepdim=True)
    weights = powers / total.clamp(min=torch.finfo(total.dtype).tiny)
    return (weights @ value).to(dtype), weights.to(dtype)


def _fits(mask, scores):
    return all(m in (1, s) for m, s in zip(mask.shape[::-1], scores.shape[::-1], strict=False))
