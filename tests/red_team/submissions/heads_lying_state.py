"""Says that it loaded the weights and shows them again, has parameters under odd names, and computes from neither."""


class MultiHeadAttention(MultiHeadAttention):
    shown = {}  # noqa: RUF012

    def load_state_dict(self, weights, strict=True, assign=False):
        self.shown = dict(weights)

    def state_dict(self, *args, **kwargs):
        return {**self.shown, 3: torch.zeros(1), None: torch.zeros(1), "x3141592653_smuggled": torch.zeros(0)} if len(self.shown) > 5 else self.shown

    def named_parameters(self, *args, **kwargs):
        return iter([("x3141592653_smuggled", torch.nn.Parameter(torch.zeros(2))), ("w_q.weight", torch.nn.Parameter(torch.zeros(1)))])

    def parameters(self, *args, **kwargs):
        return iter([torch.zeros(2**20).expand(2**10, 2**20)])
