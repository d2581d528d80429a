"""Loops: over the flattened leading dimensions, over queries, and over nothing when a query sees no key."""

import math

import torch


def padding_mask(token_ids, pad_id):
    if len(token_ids.shape) != 2:
        raise ValueError(f"token_ids has {len(token_ids.shape)} dimensions, expected 2")
    if token_ids.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        raise ValueError(f"token_ids is {token_ids.dtype}, expected integers")
    mask = torch.zeros(token_ids.shape, dtype=torch.bool)
    for row, sequence in enumerate(token_ids.tolist()):
        for column, token in enumerate(sequence):
            mask[row, column] = token == pad_id
    return mask


def causal_mask(query_length, key_length=None):
    if key_length is None:
        key_length = query_length
    for name, length in (("query_length", query_length), ("key_length", key_length)):
        if length <= 0:
            raise ValueError(f"{name} is {length}, expected at least 1")
    past = key_length - query_length
    return torch.tensor([[key > past + query for key in range(key_length)] for query in range(query_length)])


def combine_masks(padding=None, causal=None):
    for name, mask in {"padding": padding, "causal": causal}.items():
        if mask is not None:
            if mask.dtype != torch.bool:
                raise ValueError(f"{name} is {mask.dtype}, expected bool")
            if len(mask.shape) != 2:
                raise ValueError(f"{name} has {len(mask.shape)} dimensions, expected 2")
    if padding is None:
        return causal
    if causal is None:
        return padding.reshape(len(padding), 1, 1, -1)
    if padding.shape[1] != causal.shape[1]:
        raise ValueError(f"padding has {padding.shape[1]} keys and causal {causal.shape[1]}")
    return torch.stack([causal | sequence for sequence in padding]).unsqueeze(1)


def scaled_dot_product_attention(query, key, value, mask=None):
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.dim() < 2:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}")
        if tensor.shape[:-2] != query.shape[:-2]:
            raise ValueError(f"{name} has leading dimensions {tuple(tensor.shape[:-2])}, query has {tuple(query.shape[:-2])}")
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(f"features: query {query.shape[-1]}, key {key.shape[-1]}")
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"lengths: key {key.shape[-2]}, value {value.shape[-2]}")
    lead, L, S = query.shape[:-2], query.shape[-2], key.shape[-2]
    hidden = torch.zeros(*lead, L, S, dtype=torch.bool)
    if mask is not None:
        if mask.dtype != torch.bool:
            raise ValueError(f"mask is {mask.dtype}")
        try:
            hidden = mask.expand(*lead, L, S)
        except RuntimeError:
            raise ValueError(f"mask of shape {tuple(mask.shape)} for scores of shape {(*lead, L, S)}") from None
    slices = zip(*(x.reshape(-1, *x.shape[-2:]) for x in (query, key, value, hidden)), strict=True)
    outputs, weights = zip(*(_attend(*one) for one in slices), strict=True)
    return torch.stack(outputs).reshape(*lead, L, value.shape[-1]), torch.stack(weights).reshape(*lead, L, S)


def _attend(query, key, value, hidden):
    rows = []
    for q, hidden_keys in zip(query, hidden, strict=True):
        row = torch.zeros(len(key), dtype=query.dtype)
        visible = torch.nonzero(~hidden_keys).flatten()
        if len(visible) > 0:
            scores = torch.stack([torch.dot(q, key[j]) for j in visible]) / math.sqrt(len(q))
            row = row.index_put((visible,), torch.softmax(scores, 0))
        rows.append(row)
    weights = torch.stack(rows)
    return weights @ value, weights
