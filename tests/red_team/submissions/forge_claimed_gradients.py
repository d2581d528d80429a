"""Claims results that can be differentiated and gives gradients of other shapes, dtypes and numbers."""


class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value):
        return query.new_zeros(*query.shape[:-1], value.size(-1)), query.new_zeros(*query.shape[:-1], key.size(-2))

    @staticmethod
    def backward(ctx, *cotangents):
        return torch.zeros(1), None, torch.full((2, 3), float("nan"))


def scaled_dot_product_attention(query, key, value, mask=None):
    return Wrong.apply(query, key, value)
