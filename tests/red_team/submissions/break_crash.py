"""Crashes the interpreter: a null pointer, an abort, an illegal free."""

import ctypes
import os


def scaled_dot_product_attention(query, key, value, mask=None):
    ctypes.string_at(0)


def padding_mask(token_ids, pad_id):
    os.abort()


def causal_mask(query_length, key_length=None):
    ctypes.CDLL(None).free(ctypes.c_void_p(8))
