"""A module of the submission beside the naive one with the same weights: how the hidden tests of 10 compare the two.

A result that is not the right one may still be what the submission's own earlier parts lead to: attention with its encoding, the
model with its attention. Then the mistake lies there, and there it costs, unless a check is `strict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from autograder.checking.assertions import assert_matches, assert_tensor, fail, require
from autograder.checking.tensors import Tensors
from autograder.checking.tolerance import LOGIC, SANITY, smoke
from autograder.hidden_tests import naive_transformer_xl as naive

PROJECTIONS = ("w_q", "w_k", "w_v", "w_r", "w_o")
# The worst of the alternative solutions is off by 0.05 in bfloat16 on the inputs of these tests.
TOLERANCES = {torch.float64: LOGIC, torch.float32: SANITY, torch.bfloat16: smoke(0.05)}


def attention_state(tensors: Tensors, d_model: int, num_heads: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    state = {f"{name}.weight": tensors.normal((d_model, d_model), dtype=dtype, scale=d_model**-0.5) for name in PROJECTIONS}
    return state | {name: tensors.normal((num_heads, d_model // num_heads), dtype=dtype) for name in ("u", "v")}


def model_state(
    tensors: Tensors, vocab_size: int, d_model: int, num_heads: int, d_ff: int, num_layers: int, dtype: torch.dtype = torch.float64
) -> dict[str, Tensor]:
    state = {"embedding.weight": tensors.normal((vocab_size, d_model), dtype=dtype, scale=0.6)}
    for index in range(num_layers):
        layer = f"layers.{index}."
        state |= {f"{layer}attention.{name}": value for name, value in attention_state(tensors, d_model, num_heads, dtype).items()}
        for name, shape in (("linear1", (d_ff, d_model)), ("linear2", (d_model, d_ff))):
            state[f"{layer}{name}.weight"] = tensors.normal(shape, dtype=dtype, scale=d_model**-0.5)
            state[f"{layer}{name}.bias"] = tensors.normal(shape[:1], dtype=dtype, scale=0.5)
        for name in ("norm1", "norm2"):
            state[f"{layer}{name}.weight"] = tensors.uniform((d_model,), low=0.5, high=1.5, dtype=dtype)
            state[f"{layer}{name}.bias"] = tensors.normal((d_model,), dtype=dtype, scale=0.5)
    return state


class _Pair:
    """A module of the submission and the weights that it was given."""

    module: Any
    state: dict[str, Tensor]

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Entries that should not exist keep their values: a test of its own looks for them."""
        self.state = dict(state)
        self.module.load_state_dict({**self.module.state_dict(), **state})

    def learned(self) -> dict[str, Tensor]:
        """The module's parameters by name; each weight of the state is one of them."""
        parameters = dict(self.module.named_parameters())
        for name in self.state:
            require(name in parameters, f"{name} is no parameter that can be learned.", "The constructor is given: was it changed?")
        return {name: parameters[name] for name in self.state}


class AttentionPair(_Pair):
    """One RelativeMultiHeadAttention of the submission; random weights unless `state` says which."""

    def __init__(
        self,
        submission: Any,
        tensors: Tensors,
        d_model: int,
        num_heads: int,
        dtype: torch.dtype = torch.float64,
        state: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.d_model, self.num_heads, self.dtype = d_model, num_heads, dtype
        self._submission, self._tensors = submission, tensors
        self.module = submission.RelativeMultiHeadAttention(d_model, num_heads).to(dtype)
        self.load({**attention_state(tensors, d_model, num_heads, dtype), **(state or {})})

    def inputs(self, batch: int, length: int, before: int, requires_grad: bool = False) -> list[Tensor]:
        """Random x and memory."""
        return list(self._tensors.normal((batch, length, self.d_model), (batch, before, self.d_model), dtype=self.dtype, requires_grad=requires_grad))

    def attend(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """The submission's output, of the right shape."""
        output = self.module(x) if memory is None else self.module(x, memory)
        return assert_tensor(output, x.shape, self.dtype, what="the output")

    def expected(self, x: Tensor, memory: Tensor | None = None, encodings: Tensor | None = None) -> Tensor:
        return naive.attention(self.state, self.num_heads, x, memory, encodings=encodings)

    def own_encodings(self, keys: int) -> Tensor | None:
        """What the submission encodes the distances 0, 1, … as, when that is not exactly right and can be used."""
        own = self._submission.relative_positional_encoding(keys, self.d_model)
        right = naive.distance_rows(range(keys - 1, -1, -1), self.d_model)
        if not isinstance(own, Tensor) or own.shape != right.shape or bool(((own.double() - right).abs() <= 1e-12).all()):
            return None
        return own.detach().double().flip(0)

    def check(
        self, x: Tensor, memory: Tensor | None = None, *, queries: slice = slice(None), when: str = "", hint: str, strict: bool = False
    ) -> Tensor | None:
        """Returns the encodings that the output goes with when they are not the right ones."""
        output, expected, encodings = self.attend(x, memory), self.expected(x, memory), None
        if not (strict or self._match(output[:, queries], expected[:, queries])):
            encodings = self.own_encodings(x.size(1) + (memory.size(1) if memory is not None else 0))
            by_own = expected if encodings is None else self.expected(x, memory, encodings)
            expected = by_own if self._match(output[:, queries], by_own[:, queries]) else expected
        assert_matches(output[:, queries], expected[:, queries], what=f"the output{when}", hint=hint, tolerance=TOLERANCES[self.dtype])
        return encodings

    def _match(self, found: Tensor, expected: Tensor) -> bool:
        return _match(found, expected, self.dtype)


class ModelPair(_Pair):
    """One TransformerXL of the submission with random weights."""

    def __init__(
        self,
        submission: Any,
        tensors: Tensors,
        mem_len: int,
        num_layers: int = 2,
        sizes: tuple[int, int, int, int] = (7, 6, 2, 5),
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.vocab_size, self.d_model, self.num_heads, _ = sizes
        self.mem_len, self.num_layers, self.dtype = mem_len, num_layers, dtype
        self._submission, self._tensors = submission, tensors
        self.module = submission.TransformerXL(*sizes, num_layers, mem_len).to(dtype)
        self.load(model_state(tensors, *sizes, num_layers, dtype))

    def tokens(self, batch: int, length: int) -> Tensor:
        ids: Tensor = self._tensors.integers((batch, length), high=self.vocab_size)
        return ids

    def memories(self, batch: int, length: int) -> list[Tensor]:
        """Random ones, for all layers."""
        return [self._tensors.normal((batch, length, self.d_model), dtype=self.dtype) for _ in range(self.num_layers)]

    def read(self, token_ids: Tensor, memories: Sequence[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """The submission's logits, of the right shape, and memories."""
        result = self.module(token_ids) if memories is None else self.module(token_ids, memories)
        if not isinstance(result, tuple | list) or len(result) != 2:
            fail("forward does not return a pair.", "Which two results does the contract name, and in which order?")
        logits, kept = result
        assert_tensor(logits, (*token_ids.shape, self.vocab_size), self.dtype, what="the logits (B, L, V)")
        if not isinstance(kept, tuple | list) or len(kept) != self.num_layers:
            fail("the memories are not a list of one tensor for each layer.", "Each layer has a memory of its own, also when it is empty.")
        return logits, [assert_tensor(memory, what="a memory") for memory in kept]

    def segments(self, token_ids: Tensor, lengths: Sequence[int]) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Logits and memories after each segment, every call given the memories of the one before."""
        logits, kept = [], []
        memories: list[Tensor] | None = None
        for segment in token_ids.split(list(lengths), dim=1):
            found, memories = self.read(segment, memories)
            logits.append(found)
            kept.append(memories)
        return logits, kept

    def expected(
        self, token_ids: Tensor, memories: Sequence[Tensor] | None = None, attend: naive.Attend | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        return naive.model(self.state, self.num_heads, self.num_layers, self.mem_len, token_ids, memories, attend)

    def own_attention(self, index: int, x: Tensor, memory: Tensor | None) -> Tensor:
        """What the submission's attention makes of this with the weights of a layer."""
        module = self._submission.RelativeMultiHeadAttention(self.d_model, self.num_heads).to(self.dtype)
        prefix = f"layers.{index}.attention."
        state = {name.removeprefix(prefix): value for name, value in self.state.items() if name.startswith(prefix)}
        module.load_state_dict({**module.state_dict(), **state})
        x = x.to(self.dtype)
        with torch.no_grad():
            output = module(x) if memory is None or memory.size(1) == 0 else module(x, memory.to(self.dtype))
        return assert_tensor(output, x.shape, what="the output of attention").double()

    def check(
        self,
        token_ids: Tensor,
        memories: Sequence[Tensor] | None = None,
        *,
        results: tuple[Tensor, Sequence[Tensor]] | None = None,
        only: Literal["logits", "memories"] | None = None,
        when: str = "",
        hint: str,
        strict: bool = False,
    ) -> None:
        """Both results or only one of them, those of a new call unless they are given."""
        logits, kept = self.read(token_ids, memories) if results is None else results
        expected_logits, expected_kept = self.expected(token_ids, memories)
        right = _match(logits, expected_logits, self.dtype) and all(_match(*pair, self.dtype) for pair in zip(kept, expected_kept, strict=True))
        if not (strict or right):
            expected_logits, expected_kept = self.expected(token_ids, memories, self.own_attention)
        if only != "memories":
            assert_matches(logits, expected_logits, what=f"the logits{when}", hint=hint, tolerance=TOLERANCES[self.dtype])
        if only != "logits":
            self.check_memories(kept, expected_kept, when=when, hint=hint)

    def check_memories(self, kept: Sequence[Tensor], expected: Sequence[Tensor], *, when: str = "", hint: str) -> None:
        for index, (memory, wanted) in enumerate(zip(kept, expected, strict=True)):
            what = f"the memory of layer {index}{when}"
            assert_tensor(memory, wanted.shape, self.dtype, what=what)
            assert_matches(memory, wanted, what=what, hint=hint, tolerance=TOLERANCES[self.dtype])


def _match(found: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    same_shape = found.shape == expected.shape
    return same_shape and bool(((found.detach().double() - expected.detach()).abs() <= TOLERANCES[dtype].bound(expected)).all())


def gradients(result: Tensor, sources: Sequence[Tensor], cotangent: Tensor) -> list[Tensor]:
    """Gradients as tensors, zero where the result does not depend on a source."""
    if not result.requires_grad:
        return [torch.zeros_like(source) for source in sources]
    found = torch.autograd.grad(result, list(sources), cotangent, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(source) if gradient is None else gradient for source, gradient in zip(sources, found, strict=True)]


def leaves(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as leaves of a graph of our own."""
    return {name: value.detach().clone().requires_grad_() for name, value in state.items()}
