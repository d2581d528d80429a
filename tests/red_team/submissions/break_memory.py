"""Asks for more memory than there is, at once and bit by bit."""


def scaled_dot_product_attention(query, key, value, mask=None):
    return torch.ones(2**36), torch.ones(2**36)


def padding_mask(token_ids, pad_id):
    kept = []
    while True:
        kept.append(bytearray(2**24))


def causal_mask(query_length, key_length=None):
    return "x" * 2**40
