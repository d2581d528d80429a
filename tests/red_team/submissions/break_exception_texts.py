"""Raises errors with texts of a hundred megabytes, endless chains, groups of groups, and texts that raise themselves."""


class Nasty(KeyError):
    def __str__(self):
        raise self


def scaled_dot_product_attention(query, key, value, mask=None):
    error = None
    for _ in range(3000):
        fresh = RuntimeError("x" * 1000)
        fresh.__cause__, error = error, fresh
    raise error


def padding_mask(token_ids, pad_id):
    raise TypeError("x" * 10**8)


def causal_mask(query_length, key_length=None):
    raise Nasty


def combine_masks(padding=None, causal=None):
    group = ExceptionGroup("x", [ValueError(1)])
    for _ in range(200):
        group = ExceptionGroup("x", [group])
    raise group
