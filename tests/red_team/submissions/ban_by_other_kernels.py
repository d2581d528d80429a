"""Calls the operator on tensors of another kind: complex, inference, meta with fake mode."""

operator = getattr(getattr(torch, "_" + "C"), "_n" + "n").scaled_dot_product_attention


def attend(query, key, value):
    with torch.inference_mode():
        return operator(*(x.to(torch.complex128) for x in (query, key, value))).real


def scaled_dot_product_attention(query, key, value, mask=None):
    output = attend(query, key, value)
    return output, attend(query, key, torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-1], key.size(-2)))
