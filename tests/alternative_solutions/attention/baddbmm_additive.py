"""One baddbmm that scales and adds a mask of 0 and -1e9; rows without keys are multiplied by 0 at the end."""

import torch


def padding_mask(token_ids, pad_id):
    if token_ids.dim() != 2:
        raise ValueError(f"expected (B, S), got {list(token_ids.size())}")
    if token_ids.dtype.is_floating_point:
        raise ValueError(f"expected integers, got {token_ids.dtype}")
    return torch.where(token_ids == pad_id, True, False)


def causal_mask(query_length, key_length=None):
    if query_length < 1:
        raise ValueError(f"query_length {query_length} < 1")
    if key_length is not None and key_length < 1:
        raise ValueError(f"key_length {key_length} < 1")
    S = query_length if key_length is None else key_length
    visible = torch.tril(torch.ones(query_length, S), diagonal=S - query_length)
    return visible == 0


def combine_masks(padding=None, causal=None):
    combined = None
    if padding is not None:
        _require_mask("padding", padding)
        combined = padding.unsqueeze(1).unsqueeze(1)
    if causal is not None:
        _require_mask("causal", causal)
        if combined is None:
            combined = causal.unsqueeze(0).unsqueeze(0)
        elif causal.size(1) != combined.size(3):
            raise ValueError(f"{causal.size(1)} keys in causal, {combined.size(3)} in padding")
        else:
            combined = combined + causal  # True + True is True for bool
    return combined


def _require_mask(name, mask):
    if mask.dtype != torch.bool or mask.dim() != 2:
        raise ValueError(f"{name} must be 2-D bool, got {mask.dtype} {list(mask.size())}")


def scaled_dot_product_attention(query, key, value, mask=None):
    sizes = [list(x.size()) for x in (query, key, value)]
    if any(len(size) < 2 for size in sizes):
        raise ValueError(f"too few dimensions: {sizes}")
    if sizes[0][:-2] != sizes[1][:-2] or sizes[1][:-1] != sizes[2][:-1] or sizes[0][-1] != sizes[1][-1]:
        raise ValueError(f"sizes do not fit: {sizes}")
    lead, L, D, S = sizes[0][:-2], sizes[0][-2], sizes[0][-1], sizes[1][-2]
    bias = torch.zeros(1, 1, 1, dtype=query.dtype)
    alive = torch.ones(1, 1, 1, dtype=query.dtype)
    if mask is not None:
        if mask.dtype != torch.bool:
            raise ValueError(f"mask must be bool, got {mask.dtype}")
        try:
            mask = mask.expand(*lead, L, S).reshape(-1, L, S)
        except RuntimeError:
            raise ValueError(f"mask {list(mask.size())} does not fit {[*lead, L, S]}") from None
        bias = mask.to(query.dtype) * -1e9
        alive = (~mask).any(-1, keepdim=True).to(query.dtype)
    q, k, v = query.reshape(-1, L, D), key.reshape(-1, S, D), value.reshape(-1, S, value.size(-1))
    scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=D**-0.5)
    weights = torch.softmax(scores, dim=2) * alive
    return torch.bmm(weights, v).reshape(*lead, L, -1), weights.reshape(*lead, L, S)
