"""Returns whole numbers of thousands of digits, floats beyond all bounds and texts of megabytes where a test may count or loop."""

calls = 0


def scaled_dot_product_attention(query, key, value, mask=None):
    global calls
    calls += 1
    return [10**4000, -(10**4000), 1e308 * 10, float("nan"), "9" * 10**6, 2**63, True][calls % 7], 10**4000


def padding_mask(token_ids, pad_id):
    return 10**4000


def causal_mask(query_length, key_length=None):
    return [10**4000] * 1000


def combine_masks(padding=None, causal=None):
    return {10**4000: 1}
