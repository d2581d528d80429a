"""Masks that hide nothing and attention that returns zeros: the right shapes, and nothing else."""

import torch


def padding_mask(token_ids, pad_id):
    return torch.zeros(token_ids.shape, dtype=torch.bool)


def causal_mask(query_length, key_length=None):
    return torch.zeros(query_length, key_length or query_length, dtype=torch.bool)


def combine_masks(padding=None, causal=None):
    return None


def scaled_dot_product_attention(query, key, value, mask=None):
    return query.new_zeros(*query.shape[:-1], value.size(-1)), query.new_zeros(*query.shape[:-1], key.size(-2))
