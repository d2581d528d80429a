"""Calls the operation that is to be written under a name put together at run time."""


def attend(query, key, value):
    return getattr(torch.nn.functional, "_".join(("scaled", "dot", "product", "attention")))(query, key, value)


def scaled_dot_product_attention(query, key, value, mask=None):
    output = attend(query, key, value)
    return output, attend(query, key, torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-1], key.size(-2)))
