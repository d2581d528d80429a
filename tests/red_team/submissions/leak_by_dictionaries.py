"""Gives mappings, nested lists and numbers that spell a hidden input where a tensor belongs."""

NUMBER = 31415926535897932384626433


def scaled_dot_product_attention(query, key, value, mask=None):
    return {f"x{NUMBER}_smuggled": query}, {NUMBER: {"smuggled": [NUMBER]}}


def padding_mask(token_ids, pad_id):
    return NUMBER


def causal_mask(query_length, key_length=None):
    return [[NUMBER], "x31415926535_smuggled"]


def combine_masks(padding=None, causal=None):
    return float(NUMBER) / 7
