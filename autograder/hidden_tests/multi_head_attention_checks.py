"""A module of the submission beside the naive one with the same weights: how the hidden tests of 03 compare the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from autograder.checking.assertions import assert_matches, assert_tensor, fail, require
from autograder.checking.tensors import Tensors
from autograder.checking.tolerance import LOGIC, SANITY, SANITY_GRADIENT, smoke
from autograder.hidden_tests import naive_multi_head_attention as naive

NAMES = ("w_q", "w_k", "w_v", "w_o")
# The worst of the alternative solutions is off by 0.03 in bfloat16 on the inputs of these tests.
TOLERANCES = {torch.float64: LOGIC, torch.float32: SANITY, torch.bfloat16: smoke(0.03)}
GRADIENT_TOLERANCES = {torch.float64: LOGIC, torch.float32: SANITY_GRADIENT}


def random_state(tensors: Tensors, d_model: int, bias: bool = True, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    state = {f"{name}.weight": tensors.normal((d_model, d_model), dtype=dtype, scale=d_model**-0.5) for name in NAMES}
    return state | {f"{name}.bias": tensors.normal((d_model,), dtype=dtype, scale=0.5) for name in NAMES if bias}


def plain_state(output_bias: Tensor) -> dict[str, Tensor]:
    """Projections that change nothing but add `output_bias` at the end."""
    state = {f"{name}.weight": torch.eye(len(output_bias), dtype=output_bias.dtype) for name in NAMES}
    return state | {f"{name}.bias": torch.zeros_like(output_bias) for name in NAMES[:3]} | {"w_o.bias": output_bias}


class Pair:
    """One MultiHeadAttention of the submission, and the weights that it was given (random ones unless `state` says which)."""

    def __init__(
        self,
        submission: Any,
        tensors: Tensors,
        d_model: int,
        num_heads: int,
        dtype: torch.dtype = torch.float64,
        state: Mapping[str, Tensor] | None = None,
        **options: Any,
    ) -> None:
        self.d_model, self.num_heads, self.dtype = d_model, num_heads, dtype
        self._tensors = tensors
        self.module = submission.MultiHeadAttention(d_model, num_heads, **options).to(dtype)
        self.load(random_state(tensors, d_model, options.get("bias", True), dtype) if state is None else state)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Entries that should not exist keep their values: a test of its own looks for them."""
        self.state = dict(state)
        self.module.load_state_dict({**self.module.state_dict(), **state})

    def inputs(self, batch: int, length: int, keys: int, requires_grad: bool = False) -> list[Tensor]:
        """Random query, key and value."""
        shapes = [(batch, n, self.d_model) for n in (length, keys, keys)]
        return list(self._tensors.normal(*shapes, dtype=self.dtype, requires_grad=requires_grad))

    def attend(self, *inputs: Tensor | None, **named: Tensor | None) -> tuple[Tensor, Tensor]:
        """The submission's output and weights."""
        result = self.module(*inputs, **named)
        if not isinstance(result, tuple | list) or len(result) != 2:
            fail("forward does not return a pair.", "Which two results does the contract name, and in which order?")
        return assert_tensor(result[0], what="the output"), assert_tensor(result[1], what="the weights")

    def own_weights(self, *inputs: Tensor) -> Tensor:
        """The submission's weights without a mask, of the right shape."""
        shape = (inputs[0].size(0), self.num_heads, inputs[0].size(1), inputs[1].size(1))
        return assert_tensor(self.attend(*inputs)[1], shape, what="the weights (B, H, L, S)").detach()

    def expected(self, *inputs: Tensor | None) -> tuple[Tensor, Tensor]:
        return naive.multi_head_attention(self.state, self.num_heads, *inputs)  # type: ignore[arg-type]

    def check(self, *inputs: Tensor | None, when: str = "", hint: str | None = None) -> None:
        """Both results."""
        output, weights = self.attend(*inputs)
        expected_output, expected_weights = self.expected(*inputs)
        tolerance = TOLERANCES[self.dtype]
        assert_matches(weights, expected_weights, what=f"the weights{when}", hint=hint, tolerance=tolerance)
        assert_matches(output, expected_output, what=f"the output{when}", hint=hint, tolerance=tolerance)

    def check_masked_weights(self, own: Tensor, *inputs: Tensor, mask: Tensor, when: str, hint: str) -> None:
        """The weights under a mask against `own`, the submission's without one: what is visible shares the weight of 1 as before."""
        _, weights = self.attend(*inputs, mask)
        assert_matches(weights, masked(own, mask), what=f"the weights{when}", hint=hint)

    def check_gradients(self, *inputs: Tensor, mask: Tensor | None = None, hint: str) -> None:
        """Gradients of the three inputs and of all weights, through both results."""
        query, key, value = inputs
        (batch, length, width), keys = query.shape, key.size(1)
        cotangents = self._tensors.normal((batch, length, width), (batch, self.num_heads, length, keys), dtype=self.dtype)
        parameters = dict(self.module.named_parameters())
        for name in self.state:
            require(name in parameters, f"{name} is no parameter that can be learned.", "The constructor is given: was it changed?")
        sources = dict(zip(("query", "key", "value"), inputs, strict=True)) | {name: parameters[name] for name in self.state}
        found = gradients(self.attend(*inputs, mask), cotangents, list(sources.values()))
        expected = naive.gradients(self.state, self.num_heads, query, key, value, mask, grad_output=cotangents[0], grad_weights=cotangents[1])
        for name, gradient in zip(sources, found, strict=True):
            assert_matches(gradient, expected[name], what=f"the gradient of {name}", hint=hint, tolerance=GRADIENT_TOLERANCES[self.dtype])


def masked(own: Tensor, mask: Tensor) -> Tensor:
    """Weights without a mask, set to 0 where it hides and scaled to a sum of 1 again: what softmax over the visible keys gives."""
    visible = own.detach().masked_fill(mask, 0.0)
    return visible / visible.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(own.dtype).tiny)


def gradients(results: Sequence[Tensor], cotangents: Sequence[Tensor], sources: Sequence[Tensor]) -> list[Tensor]:
    """Gradients as tensors, zero where the results do not depend on a source. `results` are output and weights, or the output alone."""
    for name, result, cotangent in zip(("the output", "the weights"), results, cotangents, strict=False):
        assert_tensor(result, cotangent.shape, cotangent.dtype, what=name)
    pairs = [(result, cotangent) for result, cotangent in zip(results, cotangents, strict=True) if result.requires_grad]
    if not pairs:
        return [torch.zeros_like(source) for source in sources]
    found = torch.autograd.grad([result for result, _ in pairs], sources, [cotangent for _, cotangent in pairs], allow_unused=True)
    return [torch.zeros_like(source) if gradient is None else gradient for source, gradient in zip(sources, found, strict=True)]
