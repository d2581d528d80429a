"""Calls the operation that is to be written, as an honest student might who did not read the handout."""

import torch.nn.functional as F


def attend(query, key, value):
    return F.scaled_dot_product_attention(query, key, value)


def scaled_dot_product_attention(query, key, value, mask=None):
    output = attend(query, key, value)
    return output, attend(query, key, torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-1], key.size(-2)))
