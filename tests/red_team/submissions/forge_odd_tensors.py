"""Returns tensors of every odd kind: sparse, quantized, meta, complex, nested in memory, conjugated, negative, of eight bits, with NaN bits."""

calls = 0


def odd(shape):
    zeros = torch.zeros(shape)
    return (
        lambda: zeros.to_sparse(),
        lambda: torch.zeros(shape, device="meta"),
        lambda: torch.quantize_per_tensor(zeros, 0.1, 0, torch.quint8),
        lambda: torch.zeros(shape, dtype=torch.complex64).conj(),
        lambda: torch.zeros(shape, dtype=torch.complex64).conj().imag,
        lambda: zeros.to(torch.float8_e4m3fn),
        lambda: torch.full(shape, -1, dtype=torch.int32).view(torch.float32),
        lambda: torch.full(shape, 1, dtype=torch.int32).view(torch.float32),
        lambda: torch.zeros(1).expand(shape),
        lambda: torch.zeros(10**6).as_strided(shape, [0] * len(shape), 5),
        lambda: torch.full(shape, 7, dtype=torch.uint8).view(torch.bool),
        lambda: torch.zeros(shape, dtype=torch.uint16),
        lambda: torch.nn.Parameter(zeros),
        lambda: torch._to_functional_tensor(zeros),
    )


def scaled_dot_product_attention(query, key, value, mask=None):
    global calls
    calls += 1
    ways = odd((*query.shape[:-1], value.size(-1)))
    return ways[calls % len(ways)](), odd((*query.shape[:-1], key.size(-2)))[calls * 5 % len(ways)]()


def padding_mask(token_ids, pad_id):
    return torch.full(token_ids.shape, 7, dtype=torch.uint8).view(torch.bool)
