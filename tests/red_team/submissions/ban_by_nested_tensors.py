"""Calls the operator on nested tensors, whose kernels are others."""

binding = getattr(getattr(torch, "_" + "C"), "_n" + "n")
operator = getattr(binding, "scaled_dot_" + "product_attention")


def attend(query, key, value):
    query, key, value = (x.reshape(-1, 1, *x.shape[-2:]).transpose(1, 2) for x in (query, key, value))
    query, key, value = (torch.nested.as_nested_tensor(list(x.unbind())).transpose(1, 2) for x in (query, key, value))
    return operator(query, key, value).to_padded_tensor(0.0)


def scaled_dot_product_attention(query, key, value, mask=None):
    output = attend(query, key, value)
    return output, attend(query, key, torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-1], key.size(-2)))
