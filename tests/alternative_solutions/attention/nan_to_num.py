"""Fill with -inf and replace the NaN of queries without keys by nan_to_num, before anything is multiplied by it."""

import torch
import torch.nn.functional as F


def padding_mask(token_ids, pad_id):
    if token_ids.dim() != 2 or token_ids.is_floating_point():
        raise ValueError("token_ids must be (B, S) integers")
    return token_ids == torch.tensor(pad_id)


def causal_mask(query_length, key_length=None):
    if key_length is None:
        return causal_mask(query_length, query_length)
    if query_length < 1 or key_length < 1:
        raise ValueError("both lengths must be at least 1")
    square = max(query_length, key_length)
    full = torch.ones(square, square).triu(1).bool()
    # Bottom-right: the last rows and the last columns of a square mask.
    return full[square - query_length :, square - key_length :]


def combine_masks(padding=None, causal=None):
    given = [mask for mask in (padding, causal) if mask is not None]
    if any(mask.dtype != torch.bool for mask in given):
        raise ValueError("masks must be bool")
    if any(mask.dim() != 2 for mask in given):
        raise ValueError("masks must be 2-D")
    if len(given) == 2 and padding.size(1) != causal.size(1):
        raise ValueError("masks must have the same number of keys")
    if not given:
        return None
    if causal is None:
        return padding.view(padding.size(0), 1, 1, padding.size(1))
    combined = causal.expand(1, 1, *causal.shape)
    if padding is not None:
        combined = combined.repeat(padding.size(0), 1, 1, 1)
        combined.masked_fill_(padding[:, None, None, :], True)
    return combined


def scaled_dot_product_attention(query, key, value, mask=None):
    problem = _problem(query, key, value, mask)
    if problem:
        raise ValueError(problem)
    scores = torch.matmul(query, key.transpose(-2, -1)).div(query.size(-1) ** 0.5)
    if mask is not None:
        scores = scores.masked_fill(mask, float("-inf"))
    weights = torch.nan_to_num(F.softmax(scores, dim=-1), nan=0.0)
    return torch.matmul(weights, value), weights


def _problem(query, key, value, mask):
    if query.dim() < 2 or key.dim() < 2 or value.dim() < 2:
        return "query, key and value must be at least 2-D"
    if not (query.shape[:-2] == key.shape[:-2] == value.shape[:-2]):
        return "leading dimensions must be equal"
    if query.shape[-1] != key.shape[-1]:
        return "query and key must have the same features"
    if key.shape[-2] != value.shape[-2]:
        return "key and value must have the same length"
    if mask is not None:
        if mask.dtype is not torch.bool:
            return "mask must be bool"
        wanted = (*query.shape[:-1], key.shape[-2])
        try:
            torch.empty(wanted).masked_fill_(mask, 0)
        except RuntimeError:
            return f"mask must broadcast to {wanted}"
    return None
