"""Puts a hidden input into the wording of errors that students are shown."""

import math

WAYS = (
    "name '{}' is not defined",
    "shape [{}] is invalid for input of size {}",
    "{} object has no attribute 'x'",
    "not implemented yet: {}",
    "mat1 and mat2 shapes cannot be multiplied ({}x{} and {}x{})",
    "{}",
    "No module named '{}'",
    "list index out of range\n{}",
    "x_{}() missing 1",
)
calls = 0


def scaled_dot_product_attention(query, key, value, mask=None):
    global calls
    calls += 1
    number = f"{query.flatten()[0].item():.12f}"
    raise [IndexError, RuntimeError, NotImplementedError, NameError][calls % 4](WAYS[calls % len(WAYS)].replace("{}", number))


def padding_mask(token_ids, pad_id):
    raise KeyError(f"{math.pi:.12f}")


def causal_mask(query_length, key_length=None):
    raise RuntimeError(f"not implemented yet: {query_length}{math.pi:.12f}")


def combine_masks(padding=None, causal=None):
    error = TypeError("not implemented yet: combine_masks")
    error.add_note(f"{math.pi:.12f}")
    raise error from RuntimeError(f"{math.pi:.12f}")
