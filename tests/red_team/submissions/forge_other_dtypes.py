"""Answers in dtypes and layouts that comparisons may round or misread: complex, sparse, quantised, integer, meta."""

calls = 0


def scaled_dot_product_attention(query, key, value, mask=None):
    global calls
    calls += 1
    output, weights = torch.zeros(*query.shape[:-1], value.size(-1)), torch.zeros(*query.shape[:-1], key.size(-2))
    ways = (
        lambda x: x.to(torch.complex64),
        lambda x: x.to_sparse(),
        lambda x: x.long(),
        lambda x: x.to("meta"),
        lambda x: x.bool(),
        lambda x: x.half(),
        lambda x: torch.quantize_per_tensor(x, 1.0, 0, torch.qint8),
        lambda x: x.to(torch.float8_e5m2),
        lambda x: x.numpy(),
        lambda x: x.tolist(),
        lambda x: x.to(torch.int64) + 2**62,
    )
    way = ways[calls % len(ways)]
    return way(output), way(weights)
