"""What the hidden tests of 07 ask of a submission: a cache beside what it should hold, a module beside the weights that it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from autograder.checking.assertions import assert_equal, assert_matches, assert_tensor, fail, require
from autograder.checking.tensors import Tensors
from autograder.checking.tolerance import LOGIC, SANITY, Tolerance, smoke
from autograder.hidden_tests import naive_kv_cache as naive
from autograder.hidden_tests.kv_cache_weights import attention_state, model_state

# Worst error of the correct ways to attend in bfloat16, for results of about unit size.
TOLERANCES: dict[torch.dtype, Tolerance] = {torch.float64: LOGIC, torch.float32: SANITY, torch.bfloat16: smoke(3e-2)}
MODES = tuple((training, grad) for training in (True, False) for grad in (True, False))


def mode_text(training: bool, grad: bool) -> str:
    return f" in {'train' if training else 'eval'} mode {'with' if grad else 'without'} gradients"


def assert_length(cache: Any, expected: int, *, when: str, hint: str | None = None) -> None:
    assert_equal(cache.length, expected, what=f"length {when}", hint=hint or "How many positions are stored now? length is an int, no method.")


def asked(call: Callable[[], Any]) -> Callable[[], Any]:
    """Make the call now, and return what gives its result or raises its error when the time has come to judge it.

    A test that asks all its questions before it judges the first answer can tell mistakes apart that differ in a later one.
    """
    try:
        result = call()
    except Exception as error:
        return partial(_raise, error)
    return lambda: result


def _raise(error: Exception) -> None:
    raise error


def refuses(call: Callable[[], Any]) -> bool:
    """Whether the call raises ValueError; another error has been judged elsewhere."""
    try:
        call()
    except Exception as error:
        return isinstance(error, ValueError)
    return False


class CachePair:
    """One KVCache of the submission, and the keys and values that it should hold."""

    def __init__(self, cache: Any, tensors: Tensors, sizes: tuple[int, int, int, int], dtype: torch.dtype = torch.float64) -> None:
        """sizes: batch_size, num_heads, max_len, head_dim, as the cache was made with."""
        self.batch, self.heads, _, self.width = sizes
        self.cache, self.dtype = cache, dtype
        self._tensors = tensors
        self.keys = self.values = torch.empty(self.batch, self.heads, 0, self.width, dtype=self.dtype)

    def draw(self, positions: int, dtype: torch.dtype | None = None) -> list[Tensor]:
        """Random key and value of this many positions."""
        shape = (self.batch, self.heads, positions, self.width)
        return list(self._tensors.normal(shape, shape, dtype=dtype or self.dtype))

    def append(self, positions: int, *, when: str = "", hint: str | None = None) -> None:
        """Append random positions, and check all that comes back."""
        self.append_these(*self.draw(positions), when=when, hint=hint)

    def append_these(self, key: Tensor, value: Tensor, *, when: str = "", hint: str | None = None) -> tuple[Tensor, Tensor]:
        self.keys = torch.cat([self.keys, key.detach().to(self.dtype)], dim=2)
        self.values = torch.cat([self.values, value.detach().to(self.dtype)], dim=2)
        result = self.cache.update(key, value)
        if not isinstance(result, tuple | list) or len(result) != 2:
            fail("update does not return a pair.", "Which two tensors does attention need after an update?")
        hint = hint or "update returns the keys and the values of all positions so far, the oldest first, and no others."
        assert_tensor(result[0], self.keys.shape, self.dtype, what=f"keys{when}")
        assert_tensor(result[1], self.values.shape, self.dtype, what=f"values{when}")
        assert_equal(result[0], self.keys, what=f"keys{when}", hint=hint)
        assert_equal(result[1], self.values, what=f"values{when}", hint=hint)
        return result[0], result[1]

    def truncate(self, length: int) -> None:
        self.cache.truncate(length)
        self.keys, self.values = self.keys[:, :, :length], self.values[:, :, :length]

    def check_length(self, when: str, hint: str | None = None) -> None:
        assert_length(self.cache, self.keys.size(2), when=when, hint=hint)


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

    def require_only_given_weights(self, when: str) -> None:
        require(
            set(self.module.state_dict()) == set(self.state),
            f"the state dict {when} holds other entries than the weights of the given constructor.",
            "What is stored lives in the caches, and a mask can be made anew: neither is learned.",
        )


class AttentionPair(_Pair):
    """One CachedSelfAttention of the submission; random weights unless `state` says which."""

    def __init__(
        self,
        submission: Any,
        tensors: Tensors,
        d_model: int,
        num_heads: int,
        dtype: torch.dtype = torch.float64,
        scales: Mapping[str, float] | None = None,
    ) -> None:
        """scales: factors for the weights named."""
        self.d_model, self.num_heads, self.dtype = d_model, num_heads, dtype
        self._submission, self._tensors = submission, tensors
        self.module = submission.CachedSelfAttention(d_model, num_heads).to(dtype)
        self.load({name: value * (scales or {}).get(name, 1.0) for name, value in attention_state(tensors, d_model, dtype).items()})

    def x(self, batch: int, length: int, requires_grad: bool = False) -> Tensor:
        drawn: Tensor = self._tensors.normal((batch, length, self.d_model), dtype=self.dtype, requires_grad=requires_grad)
        return drawn

    def cache(self, batch: int, room: int) -> CachePair:
        sizes = (batch, self.num_heads, room, self.d_model // self.num_heads)
        return CachePair(self._submission.KVCache(*sizes, dtype=self.dtype), self._tensors, sizes, self.dtype)

    def attend(self, x: Tensor, cache: Any = None) -> Tensor:
        """The submission's output, of the right shape."""
        output = self.module(x) if cache is None else self.module(x, cache)
        return assert_tensor(output, x.shape, self.dtype, what="the output")

    def check(self, x: Tensor, *, when: str, hint: str) -> None:
        """Attention without a cache against the naive one."""
        assert_matches(self.attend(x), naive.attention(self.state, self.num_heads, x), what=f"the output{when}", tolerance=self.tolerance, hint=hint)

    def check_after(self, pair: CachePair, x: Tensor, *, when: str, hint: str) -> None:
        """Attention after what `pair` holds, against the naive one."""
        expected = naive.attention(self.state, self.num_heads, x, (pair.keys, pair.values))
        assert_matches(self.attend(x, pair.cache), expected, what=f"the output{when}", tolerance=self.tolerance, hint=hint)
        assert_length(pair.cache, pair.keys.size(2) + x.size(1), when=f"of the cache{when}", hint="Who tells the cache of the chunk?")

    def check_chunks(self, x: Tensor, lengths: Sequence[int], *, when: str, hint: str) -> None:
        """Chunk after chunk with one new cache, against attention over the whole of x."""
        cache = self.cache(x.size(0), sum(lengths) + 2).cache
        found = torch.cat([self.attend(chunk, cache) for chunk in x.split(list(lengths), dim=1)], dim=1)
        self._compare(found, x, when=when, hint=hint)
        assert_length(cache, sum(lengths), when=f"of the cache{when}")

    def _compare(self, found: Tensor, x: Tensor, *, when: str, hint: str) -> None:
        """Against the naive result or, when the submission's own without a cache is another and does use the past, against that."""
        expected = naive.attention(self.state, self.num_heads, x)
        if not matches(found, expected, self.tolerance):
            own = self.attend(x).detach()
            other = x.clone()
            other[:, 0] += 1
            if matches(found, own, self.tolerance) and _moves_every_row(self.attend(other).detach(), own):
                return
        assert_matches(found, expected, what=f"the output{when}", tolerance=self.tolerance, hint=hint)

    @property
    def tolerance(self) -> Tolerance:
        return TOLERANCES[self.dtype]


class ModelPair(_Pair):
    """One CachedCausalLM of the submission with random weights."""

    def __init__(
        self,
        submission: Any,
        tensors: Tensors,
        num_layers: int = 2,
        sizes: tuple[int, int, int, int] = (11, 12, 3, 7),
        max_len: int = 13,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        """sizes: vocab_size, d_model, num_heads, d_ff."""
        self.vocab_size, self.d_model, self.num_heads, self.d_ff = sizes
        self.num_layers, self.max_len, self.dtype = num_layers, max_len, dtype
        self._tensors = tensors
        self.module = submission.CachedCausalLM(*sizes, num_layers, max_len).to(dtype)
        self.load(self.random_state())
        self._known: tuple[Tensor, Mapping[str, Tensor], Tensor] | None = None

    def random_state(self) -> dict[str, Tensor]:
        return model_state(self._tensors, (self.vocab_size, self.d_model, self.d_ff), self.num_layers, self.max_len, self.dtype)

    def tokens(self, batch: int, length: int) -> Tensor:
        ids: Tensor = self._tensors.integers((batch, length), high=self.vocab_size)
        return ids

    def caches(self, batch: int, room: int | None = None) -> list[Any]:
        """The model's own new caches, one for each layer."""
        found = self.module.new_caches(batch) if room is None else self.module.new_caches(batch, max_len=room)
        if not isinstance(found, tuple | list) or len(found) != self.num_layers:
            fail("new_caches does not return a list of one cache for each layer.", "Which layers have keys and values of their own?")
        return list(found)

    def logits(self, token_ids: Tensor, caches: Sequence[Any] | None = None) -> Tensor:
        """The submission's logits, of the right shape."""
        found = self.module(token_ids) if caches is None else self.module(token_ids, caches)
        return assert_tensor(found, (*token_ids.shape, self.vocab_size), self.dtype, what="the logits (B, L, V)")

    def in_chunks(self, token_ids: Tensor, lengths: Sequence[int], caches: Sequence[Any]) -> Tensor:
        return torch.cat([self.logits(chunk, caches) for chunk in token_ids.split(list(lengths), dim=1)], dim=1)

    def naive(self, token_ids: Tensor, state: Mapping[str, Tensor] | None = None) -> Tensor:
        """With the model's own weights, the answer for the tokens asked last is remembered."""
        if state is not None:
            return naive.logits(state, self.num_heads, self.num_layers, token_ids)
        if self._known is None or self._known[0] is not token_ids or self._known[1] is not self.state:
            self._known = token_ids, self.state, naive.logits(self.state, self.num_heads, self.num_layers, token_ids)
        return self._known[2]

    def check(self, token_ids: Tensor, *, when: str, hint: str) -> None:
        """Logits without caches against the naive ones."""
        assert_matches(self.logits(token_ids), self.naive(token_ids), what=f"the logits{when}", tolerance=self.tolerance, hint=hint)

    def check_logits(self, found: Tensor, token_ids: Tensor, *, when: str, hint: str) -> None:
        """`found` are the logits of the last positions of token_ids; they are to be those of one pass without caches."""
        expected = self.standard(token_ids, found)
        assert_matches(found, expected[:, -found.size(1) :], what=f"the logits{when}", tolerance=self.tolerance, hint=hint)

    def standard(self, token_ids: Tensor, found: Tensor) -> Tensor:
        """Naive logits; the submission's own without caches where they are others, do use the past, and `found` goes with them."""
        expected = self.naive(token_ids)
        if not matches(found, expected[:, -found.size(1) :], self.tolerance):
            own = self.own(token_ids)
            if own is not None and matches(found, own[:, -found.size(1) :], self.tolerance):
                return own
        return expected

    def own(self, token_ids: Tensor) -> Tensor | None:
        """The submission's own logits without caches; None when they make nothing of the past."""
        own = self.logits(token_ids).detach()
        other = token_ids.clone()
        other[:, 0] = (other[:, 0] + 1) % self.vocab_size
        return own if _moves_every_row(self.logits(other).detach(), own) else None

    def check_generated(self, result: Any, prompt: Tensor, new: int, *, when: str, hint: str) -> None:
        """Each new token is the likeliest after all before it."""
        batch, length = prompt.shape
        ids = assert_tensor(result, (batch, length + new), what=f"the result of generate{when}")
        require(not ids.dtype.is_floating_point, f"the result of generate{when} is {ids.dtype}; token ids are integers.")
        assert_equal(ids[:, :length].long(), prompt, what="the prompt in generate's result", hint="The prompt is part of the result.")
        if new == 0:
            return
        require(bool(((ids >= 0) & (ids < self.vocab_size)).all()), f"generate gives token ids outside the vocabulary{when}.")
        standards = [self.naive(ids[:, :-1].long())]
        if not _follows(standards[0], ids, length):
            own = self.own(ids[:, :-1].long())
            standards += [] if own is None else [own]
        if not any(_follows(standard, ids, length) for standard in standards):
            fail(f"the tokens generated{when} are not the likeliest ones.", hint)

    @property
    def tolerance(self) -> Tolerance:
        return TOLERANCES[self.dtype]


def _follows(logits: Tensor, ids: Tensor, prompt_length: int) -> bool:
    return torch.equal(logits[:, prompt_length - 1 :].argmax(dim=-1), ids[:, prompt_length:].long())


def _moves_every_row(after: Tensor, before: Tensor) -> bool:
    return bool(((after - before).abs().amax(dim=-1) > 1e-9).all())


def matches(found: Tensor, expected: Tensor, tolerance: Tolerance) -> bool:
    same_shape = found.shape == expected.shape
    return same_shape and bool(((found.detach().double() - expected.detach().double()).abs() <= tolerance.bound(expected)).all())


def gradients(result: Tensor, sources: Sequence[Tensor], cotangent: Tensor) -> list[Tensor]:
    """Gradients as tensors, zero where the result does not depend on a source."""
    if not result.requires_grad:
        return [torch.zeros_like(source) for source in sources]
    found = torch.autograd.grad(result, list(sources), cotangent, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(source) if gradient is None else gradient for source, gradient in zip(sources, found, strict=True)]


def leaves(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as leaves of a graph of our own."""
    return {name: value.detach().clone().requires_grad_() for name, value in state.items()}


def prefixes(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where each chunk begins and ends."""
    ends = [0]
    for length in lengths:
        ends.append(ends[-1] + length)
    return pairwise(ends)
