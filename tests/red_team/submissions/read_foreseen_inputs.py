"""Draws from its own seed what it expects to be asked, and compares: who foresees inputs needs no solution."""

calls = 0


def scaled_dot_product_attention(query, key, value, mask=None):
    for seed in (torch.initial_seed(), 0, 1, calls, torch.initial_seed() >> 1):
        for dtype in (torch.float32, torch.float64):
            generator = torch.Generator().manual_seed(seed % 2**63)
            if torch.equal(torch.randn(query.shape, generator=generator, dtype=dtype).to(query.dtype), query):
                raise RuntimeError("smuggled_foreseen")
    torch.manual_seed(torch.initial_seed())
    if torch.equal(torch.randn(query.shape, dtype=query.dtype), query):
        raise RuntimeError("smuggled_foreseen")
    return torch.zeros(*query.shape[:-1], value.size(-1)), torch.zeros(*query.shape[:-1], key.size(-2))
