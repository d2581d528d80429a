"""Returns what refers to itself, is nested a million deep, has a million parts, or changes while it is read."""


class Growing(list):
    def __iter__(self):
        while True:
            yield self

    def __len__(self):
        return 2


class Liar(dict):
    def items(self):
        return iter([("a", self)] * 10)


calls = 0


def scaled_dot_product_attention(query, key, value, mask=None):
    global calls
    calls += 1
    circle = []
    circle.append(circle)
    return [circle, Liar(), [None] * 10**6, {str(number): number for number in range(10**5)}, (torch.zeros(1),) * 10**5][calls % 5]


def padding_mask(token_ids, pad_id):
    return Liar()


def causal_mask(query_length, key_length=None):
    return [object() for _ in range(20_000)]
