"""Names exception classes, result classes and arguments after a hidden input."""

import math


def named(number, *bases):
    return type("x" + f"{number:.12f}".replace(".", "_").replace("-", "m"), bases, {})


def scaled_dot_product_attention(query, key, value, mask=None):
    return named(query.flatten()[0].item(), object)(), named(math.pi, dict)()


def padding_mask(token_ids, pad_id):
    raise named(math.pi, Exception)


def causal_mask(query_length, key_length=None):
    raise named(math.pi, TypeError)(named(math.pi, object))


def combine_masks(padding=None, causal=None):
    return named(math.pi, object)()
