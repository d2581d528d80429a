"""Says that its parameters fill all memory, are a million in number, and of types that are none."""

calls = 0


class MultiHeadAttention(MultiHeadAttention):
    def named_parameters(self, *args, **kwargs):
        global calls
        calls += 1
        meta = torch.nn.Parameter(torch.zeros(2**14, 2**13, device="meta"))
        ways = ([("w", meta)], [("w", torch.zeros(2**30, 2**20, device="meta"))], [(str(number), torch.zeros(1)) for number in range(5000)])
        return iter(ways[calls % 3])
