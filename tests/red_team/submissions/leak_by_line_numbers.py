"""Raises on a line whose number is a hidden input, in a file name that pretends to be its own."""


def _raise_on_line(number):
    exec(compile("\n" * (number - 1) + "raise RuntimeError", "attention.py", "exec"))


def scaled_dot_product_attention(query, key, value, mask=None):
    _raise_on_line(314_159)


def padding_mask(token_ids, pad_id):
    _raise_on_line(271_828)


def causal_mask(query_length, key_length=None):
    exec(compile("raise RuntimeError", "x3141592653.py", "exec"))
