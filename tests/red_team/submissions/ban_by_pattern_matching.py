"""Reads an attribute with a pattern, which looks like no access to one, and takes the function from a module's own names."""

match padding_mask:
    case object(__globals__=names):
        library = names["torch"]
attend = vars(library.nn.functional)["scaled_dot_product_" + "attention"]


def scaled_dot_product_attention(query, key, value, mask=None):
    output = attend(query, key, value)
    return output, attend(query, key, torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-1], key.size(-2)))
