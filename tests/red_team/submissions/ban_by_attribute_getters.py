"""Looks attributes up with operator.attrgetter, object.__getattribute__ and a text for str.format."""

import operator

space = operator.attrgetter("nn.functional")(torch)
name = "{0.__globals__}".format(padding_mask) and "scaled_dot_product_" + "attention"  # noqa: UP030, UP032
attend = object.__getattribute__(space, name)


def scaled_dot_product_attention(query, key, value, mask=None):
    output = attend(query, key, value)
    return output, attend(query, key, torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-1], key.size(-2)))
