"""Gives results whose shapes, dtypes and counts spell a hidden input."""


def scaled_dot_product_attention(query, key, value, mask=None):
    return torch.empty(0, 3141592653, 5897932384), torch.empty(0, 6264338327)


def padding_mask(token_ids, pad_id):
    return torch.zeros(0, 3141592653, dtype=torch.int16)


def causal_mask(query_length, key_length=None):
    return 3.141592653589793


def combine_masks(padding=None, causal=None):
    return torch.zeros(0, 3141592653, dtype=torch.bool)
