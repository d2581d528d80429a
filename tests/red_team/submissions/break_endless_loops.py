"""Never ends: in Python, in C, in a destructor, in the text of its own error."""

import re


class Endless:
    def __del__(self):
        while True:
            pass


class EndlessText(TypeError):
    def __str__(self):
        while True:
            pass


def scaled_dot_product_attention(query, key, value, mask=None):
    while True:
        pass


def padding_mask(token_ids, pad_id):
    re.match("(a*)*b", "a" * 100)


def causal_mask(query_length, key_length=None):
    Endless()


def combine_masks(padding=None, causal=None):
    raise EndlessText
