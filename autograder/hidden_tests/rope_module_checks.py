"""One RotaryMultiHeadAttention of the submission beside what it has to give: how the hidden tests of 08 judge the module.

They take the submission's own rotation for right: its values are judged by tests of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from autograder.checking.assertions import assert_finite, assert_matches, assert_tensor, require
from autograder.checking.tensors import Tensors
from autograder.checking.tolerance import Tolerance, smoke
from autograder.hidden_tests import naive_rope as naive
from autograder.hidden_tests.rope_checks import SOFT, gradients, own_matrices, true_matrices

NAMES = ("w_q", "w_k", "w_v", "w_o")
# Worst error of a right module in bfloat16: that of the alternative solutions on the inputs of the tests.
WORST_BFLOAT16 = 0.04
WORST_LONG = 0.0063  # and on the long sequence, where rounded positions give 0.5


class Pair:
    """One RotaryMultiHeadAttention of the submission, and the weights that it was given (random ones unless `state` says which)."""

    def __init__(
        self,
        submission: Any,
        tensors: Tensors,
        d_model: int,
        num_heads: int,
        dtype: torch.dtype = torch.float64,
        base: float | None = None,
        state: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.submission, self.tensors = submission, tensors
        self.d_model, self.num_heads, self.head_dim = d_model, num_heads, d_model // num_heads
        self.base = 10000.0 if base is None else base
        self.module = submission.RotaryMultiHeadAttention(d_model, num_heads, *([] if base is None else [base]))
        self.convert(dtype, random_state(tensors, d_model, dtype) if state is None else state)

    def convert(self, dtype: torch.dtype, state: Mapping[str, Tensor]) -> None:
        """Convert, then load. Entries that should not exist keep their values: a test of its own looks for them."""
        self.module.to(dtype)
        self.dtype = dtype
        self.state = dict(state)
        self.module.load_state_dict({**self.module.state_dict(), **state})

    def input(self, batch: int, length: int, requires_grad: bool = False) -> Tensor:
        x: Tensor = self.tensors.normal((batch, length, self.d_model), dtype=self.dtype, requires_grad=requires_grad)
        return x

    def expected(self, x: Tensor, positions: Tensor | None = None, mask: Tensor | None = None, *, true: bool = False) -> Tensor:
        """What the module has to give, with the submission's own rotation or with the `true` one; float64."""
        positions = torch.arange(x.size(1)) if positions is None else positions
        turns = true_matrices(self.head_dim, positions, self.base) if true else own_matrices(self.submission, self.head_dim, positions, self.base)
        state = {name: value.double() for name, value in self.state.items()}
        return naive.attention(state, self.num_heads, x.double(), turns if positions.dim() == 2 else turns.unsqueeze(0), mask)

    def output(self, x: Tensor, positions: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """The submission's output, of the right shape and dtype."""
        named = {name: value for name, value in (("positions", positions), ("mask", mask)) if value is not None}
        return assert_tensor(self.module(x, **named), x.shape, x.dtype, what="the output").detach()

    def check(
        self,
        x: Tensor,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        true: bool = False,
        tolerance: Tolerance = SOFT,
        when: str = "",
        hint: str | None = None,
    ) -> None:
        result = self.module(x) if positions is None and mask is None else self.module(x, positions, mask)
        assert_tensor(result, x.shape, x.dtype, what=f"the output{when}")
        assert_finite(result, what=f"the output{when}", hint=hint)
        assert_matches(result, self.expected(x, positions, mask, true=true), what=f"the output{when}", tolerance=tolerance, hint=hint)

    def check_gradients(
        self, x: Tensor, positions: Tensor | None = None, mask: Tensor | None = None, *, tolerance: Tolerance = SOFT, hint: str
    ) -> None:
        """Gradients of x and of all weights, for a random cotangent."""
        parameters = dict(self.module.named_parameters())
        for name in self.state:
            require(name in parameters, f"{name} is no parameter that can be learned.", "The constructor is given: was it changed?")
        cotangent = self.tensors.normal((x.size(1), x.size(0), self.d_model), dtype=self.dtype).transpose(0, 1)
        result = assert_tensor(self.module(x, positions, mask), x.shape, x.dtype, what="the output")
        found = gradients(result, cotangent, [x, *(parameters[name] for name in self.state)])
        leaf = x.detach().double().requires_grad_()
        state = {name: value.detach().double().requires_grad_() for name, value in self.state.items()}
        given, self.state = self.state, state
        expected = self.expected(leaf, positions, mask)
        self.state = given
        wanted = torch.autograd.grad(expected, [leaf, *state.values()], cotangent.double())
        for name, gradient, right in zip(("x", *state), found, wanted, strict=True):
            assert_finite(gradient, what=f"the gradient of {name}", hint=hint)
            assert_matches(gradient, right, what=f"the gradient of {name}", tolerance=tolerance, hint=hint)


class Readable(Pair):
    """A module whose output shows its weights: the value of token j is the j-th unit vector in every head, and w_o only adds its bias."""

    def __init__(self, submission: Any, tensors: Tensors, num_heads: int, length: int, dtype: torch.dtype = torch.float64) -> None:
        head_dim = length + length % 2
        d_model = num_heads * head_dim
        state = random_state(tensors, d_model, dtype)
        value = torch.zeros(num_heads, head_dim, d_model, dtype=dtype)
        value[:, :length, -length:] = torch.eye(length, dtype=dtype)
        state |= {"w_v.weight": value.flatten(0, 1), "w_v.bias": torch.zeros(d_model, dtype=dtype), "w_o.weight": torch.eye(d_model, dtype=dtype)}
        super().__init__(submission, tensors, d_model, num_heads, dtype, state=state)
        self.length = length

    def tokens(self, batch: int) -> Tensor:
        x = self.input(batch, self.length)
        x[..., -self.length :] = torch.eye(self.length, dtype=self.dtype)
        return x

    def weights(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The submission's weights (B, H, L, L), with every token at position 0, where nothing turns."""
        output = self.output(x, torch.zeros(self.length, dtype=torch.int64), mask)
        heads: Tensor = (output - self.state["w_o.bias"]).unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)
        return heads[..., : self.length]

    def gradients(self, x: Tensor, mask: Tensor, cotangent: Tensor) -> dict[str, Tensor]:
        leaf, parameters = x.clone().requires_grad_(), dict(self.module.named_parameters())
        result = assert_tensor(self.module(leaf, None, mask), x.shape, x.dtype, what="the output")
        sources = {"x": leaf} | {name: parameters[name] for name in self.state if name in parameters}
        return dict(zip(sources, gradients(result, cotangent, list(sources.values())), strict=True))


def check_long_in_bfloat16(submission: Any, tensors: Tensors, *, hint: str) -> None:
    """Without positions given, beyond position 256, where bfloat16 takes neighbours for one.

    All tokens have one query and one key, and each sees the token before and the token after, which weigh the same: unless positions are rounded.
    """
    length = 300
    state = {f"{name}.weight": torch.eye(4) for name in NAMES} | {f"{name}.bias": torch.zeros(4) for name in NAMES}
    state |= {f"{name}.weight": torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0])) for name in ("w_q", "w_k")}
    pair = Pair(submission, tensors, 4, 1, torch.bfloat16, state={name: value.to(torch.bfloat16) for name, value in state.items()})
    x = torch.tensor([1.25, 0.0, 1.0, -1.0]).repeat(1, length, 1)
    x[:, torch.arange(length) % 4 > 1, 2:] *= -1  # the values beside a token are opposite
    place = torch.arange(length)
    mask = (place[:, None] - place).abs() != 1
    pair.check(x.to(torch.bfloat16), None, mask, tolerance=smoke(WORST_LONG), when=" for a long sequence in bfloat16", hint=hint)


def masked(own_weights: Tensor, mask: Tensor) -> Tensor:
    """Weights without a mask, set to 0 where it hides and scaled to a sum of 1 again: what softmax over the visible keys gives."""
    visible = own_weights.masked_fill(mask, 0.0)
    return visible / visible.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(own_weights.dtype).tiny)


def random_state(tensors: Tensors, d_model: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Weights that keep the scale of the features, and biases."""
    state = {f"{name}.weight": tensors.normal((d_model, d_model), dtype=dtype, scale=d_model**-0.5) for name in NAMES}
    return state | {f"{name}.bias": tensors.normal((d_model,), dtype=dtype, scale=0.5) for name in NAMES}


def plain_state(d_model: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Projections that change nothing, but for a bias of w_o."""
    state = {f"{name}.weight": torch.eye(d_model, dtype=dtype) for name in NAMES}
    return state | {f"{name}.bias": torch.full((d_model,), 0.5 if name == "w_o" else 0.0, dtype=dtype) for name in NAMES}
