"""Online softmax: one pass over the keys with a running maximum and a running sum, the weights afterwards from both."""

import torch


def padding_mask(token_ids, pad_id):
    if token_ids.dim() != 2:
        raise ValueError("token_ids must have two dimensions")
    if token_ids.dtype.is_floating_point or token_ids.dtype == torch.bool:
        raise ValueError("token_ids must be integers")
    return (token_ids - pad_id) == 0 if token_ids.dtype == torch.int64 else token_ids.long() == pad_id


def causal_mask(query_length, key_length=None):
    key_length = query_length if key_length is None else key_length
    if query_length < 1 or key_length < 1:
        raise ValueError("lengths start at 1")
    seen = torch.arange(key_length - query_length + 1, key_length + 1)
    rows = [torch.arange(key_length) >= int(count) for count in seen]
    return torch.stack(rows)


def combine_masks(padding=None, causal=None):
    if padding is not None and (padding.dtype != torch.bool or padding.dim() != 2):
        raise ValueError("padding must be 2-D and bool")
    if causal is not None and (causal.dtype != torch.bool or causal.dim() != 2):
        raise ValueError("causal must be 2-D and bool")
    if padding is None and causal is None:
        return None
    if padding is None:
        return causal[None].clone()
    if causal is None:
        return padding[:, None, None].clone()
    if padding.size(1) != causal.size(1):
        raise ValueError("the masks have different numbers of keys")
    return ~(~padding[:, None, None, :] & ~causal[None, None])


def scaled_dot_product_attention(query, key, value, mask=None):
    if any(x.dim() < 2 for x in (query, key, value)):
        raise ValueError("two dimensions at least")
    if query.shape[:-2] != key.shape[:-2] or query.shape[:-2] != value.shape[:-2]:
        raise ValueError("leading dimensions differ")
    if query.size(-1) != key.size(-1) or key.size(-2) != value.size(-2):
        raise ValueError("features of query and key, or lengths of key and value, differ")
    scores = query @ key.transpose(-1, -2) / query.size(-1) ** 0.5
    hidden = torch.zeros((), dtype=torch.bool)
    if mask is not None:
        if mask.dtype != torch.bool:
            raise ValueError("mask must be bool")
        hidden = mask
    try:
        hidden = hidden.broadcast_to(scores.shape)
    except RuntimeError:
        raise ValueError("mask does not broadcast to the scores") from None
    largest = torch.full(scores.shape[:-1], torch.finfo(scores.dtype).min, dtype=scores.dtype)
    total = torch.zeros_like(largest)
    output = torch.zeros(*query.shape[:-1], value.size(-1), dtype=query.dtype)
    for j in range(key.size(-2)):
        visible = ~hidden[..., j]
        new_largest = torch.where(visible, torch.maximum(largest, scores[..., j]), largest)
        shrink = torch.exp(largest - new_largest)
        # The score of a hidden key is replaced before exp, so that neither value nor gradient can overflow.
        gain = torch.exp(torch.where(visible, scores[..., j] - new_largest, 0.0)) * visible
        total = total * shrink + gain
        output = output * shrink[..., None] + gain[..., None] * value[..., j : j + 1, :]
        largest = new_largest
    divisor = torch.where(total == 0, torch.ones_like(total), total)[..., None]
    weights = torch.exp(torch.where(hidden, 0.0, scores - largest[..., None])) * ~hidden / divisor
    return output / divisor, weights
