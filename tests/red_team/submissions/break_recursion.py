"""Recurses without end, also below the interpreter's own limit."""

import sys


def deeper(x):
    return deeper([x])


def scaled_dot_product_attention(query, key, value, mask=None):
    sys.setrecursionlimit(2**30)
    return deeper(query)


def padding_mask(token_ids, pad_id):
    return deeper(token_ids)


def causal_mask(query_length, key_length=None):
    nested = ()
    for _ in range(10**6):
        nested = (nested,)
    return nested
