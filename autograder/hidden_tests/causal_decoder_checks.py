"""Blocks and language models of the submission, with known weights: how the hidden tests of 05 run and compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from autograder.checking.assertions import assert_matches, assert_tensor, require
from autograder.checking.tensors import Tensors
from autograder.checking.tolerance import LOGIC, SANITY, smoke
from autograder.hidden_tests import naive_causal_decoder as naive
from autograder.hidden_tests.naive_causal_decoder import NO_MASKS, Masks

# The worst of the alternative solutions is off by 0.06 in bfloat16 on the inputs of these tests.
TOLERANCES = {torch.float64: LOGIC, torch.float32: SANITY, torch.bfloat16: smoke(0.06)}


def block_state(tensors: Tensors, d_model: int, d_ff: int, cross_attention: bool = True, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Random weights of one block: no layer is near zero or one."""
    attentions = ("self_attention", "cross_attention") if cross_attention else ("self_attention",)
    shapes: dict[str, tuple[int, ...]] = {}
    for name in attentions:
        shapes |= {f"{name}.in_proj_weight": (3 * d_model, d_model), f"{name}.in_proj_bias": (3 * d_model,)}
        shapes |= {f"{name}.out_proj.weight": (d_model, d_model), f"{name}.out_proj.bias": (d_model,)}
    shapes |= {"linear1.weight": (d_ff, d_model), "linear1.bias": (d_ff,), "linear2.weight": (d_model, d_ff), "linear2.bias": (d_model,)}
    state = {name: tensors.normal(shape, dtype=dtype, scale=shape[-1] ** -0.5 if len(shape) == 2 else 0.5) for name, shape in shapes.items()}
    for name in ("norm1", "norm2", "norm3") if cross_attention else ("norm1", "norm3"):
        state |= norm_state(tensors, name, d_model, dtype)
    return state


def norm_state(tensors: Tensors, name: str, d_model: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    return {
        f"{name}.weight": tensors.uniform((d_model,), low=0.5, high=1.5, dtype=dtype),
        f"{name}.bias": tensors.normal((d_model,), dtype=dtype, scale=0.5),
    }


def load(module: Any, state: Mapping[str, Tensor]) -> None:
    """Entries that should not exist keep their values: a test of its own looks for them."""
    try:
        module.load_state_dict(dict(state))
    except Exception:  # asked first, every module would have to send its weights
        module.load_state_dict({**module.state_dict(), **state})


class Block:
    """One DecoderBlock of the submission, and the weights that it was given (random ones unless `state` says which)."""

    def __init__(
        self,
        submission: Any,
        tensors: Tensors,
        d_model: int = 6,
        num_heads: int = 3,
        d_ff: int = 5,
        *,
        memory: bool = False,
        state: Mapping[str, Tensor] | None = None,
        dtype: torch.dtype = torch.float64,
        activation: str = "relu",
        norm_first: bool = False,
        dropout: float = 0.0,
    ) -> None:
        self._submission, self._tensors, self._memory = submission, tensors, memory
        self.d_model, self.num_heads, self.d_ff, self.dtype = d_model, num_heads, d_ff, dtype
        self.activation, self.norm_first = activation, norm_first
        options: dict[str, Any] = {"activation": activation, "dropout": dropout, "norm_first": norm_first, "cross_attention": memory}
        self.module = submission.DecoderBlock(d_model, num_heads, d_ff, **options).to(dtype)
        self.load(block_state(tensors, d_model, d_ff, memory, dtype) if state is None else state)

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.state = dict(state)
        load(self.module, state)

    def copy(self, dtype: torch.dtype | None = None, state: Mapping[str, Tensor] | None = None) -> Block:
        """Another module of the submission with these weights and no past."""
        dtype = self.dtype if dtype is None else dtype
        weights = {name: value.to(dtype) for name, value in (self.state if state is None else state).items()}
        options: dict[str, Any] = {"activation": self.activation, "norm_first": self.norm_first, "memory": self._memory}
        return Block(self._submission, self._tensors, self.d_model, self.num_heads, self.d_ff, state=weights, dtype=dtype, **options)

    def without_values(self, *attentions: str) -> Block:
        """A copy in which these attentions have values of zero only, so that they give the bias of their output projection."""
        state = dict(self.state)
        for name in attentions:
            for key in (f"{name}.in_proj_weight", f"{name}.in_proj_bias"):
                state[key] = torch.cat([state[key][: 2 * self.d_model], torch.zeros_like(state[key][2 * self.d_model :])])
        return self.copy(state=state)

    def run(self, x: Tensor, memory: Tensor | None = None, masks: Masks = NO_MASKS) -> Tensor:
        """The submission's output, of the right shape and dtype; arguments that are None are left out."""
        named = {"memory": memory, "padding_mask": masks.padding, "memory_padding_mask": masks.memory_padding}
        result = self.module(x, **{name: value for name, value in named.items() if value is not None})
        return assert_tensor(result, x.shape, x.dtype, what="the block's output")

    def expected(self, x: Tensor, memory: Tensor | None = None, masks: Masks = NO_MASKS, state: Mapping[str, Tensor] | None = None) -> Tensor:
        weights = self.state if state is None else state
        return naive.decoder_block(weights, self.num_heads, x, memory, masks, activation=self.activation, norm_first=self.norm_first)

    def check(self, x: Tensor, memory: Tensor | None = None, masks: Masks = NO_MASKS, *, when: str = "", hint: str | None = None) -> None:
        result = self.run(x, memory, masks)
        assert_matches(result, self.expected(x, memory, masks), what=f"the block's output{when}", tolerance=TOLERANCES[self.dtype], hint=hint)

    def check_gradients(self, tensors: Tensors, x: Tensor, memory: Tensor | None = None, masks: Masks = NO_MASKS, *, hint: str) -> None:
        """Gradients of the inputs and of all weights."""
        parameters = dict(self.module.named_parameters())
        for name in self.state:
            require(name in parameters, f"{name} is no parameter that can be learned.", "The constructor is given: was it changed?")
        inputs = {"x": x} if memory is None else {"x": x, "memory": memory}
        # Small, since 1 / finfo.tiny, by which some guard a sum of zero, overflows for a gradient above 4: not a matter for a toss of a coin.
        cotangent = tensors.normal(x.shape, dtype=self.dtype, scale=0.01)
        found = gradients(self.run(x, memory, masks), cotangent, [*inputs.values(), *(parameters[name] for name in self.state)])
        weights = {name: value.detach().double().requires_grad_() for name, value in self.state.items()}
        expected = gradients(self.expected(x, memory, masks, weights), cotangent.double(), [*inputs.values(), *weights.values()])
        for name, one, other in zip((*inputs, *weights), found, expected, strict=True):
            assert_matches(one, other, what=f"the gradient of {name}", hint=hint)

    def require_attention(self, tensors: Tensors, memory: Tensor | None = None) -> None:
        """A block that does nothing has nothing to say about what follows."""
        x = tensors.normal((1 if memory is None else memory.size(0), 2, self.d_model), dtype=self.dtype)
        other = torch.cat([tensors.normal(x[:, :1].shape, dtype=self.dtype), x[:, 1:]], dim=1)
        moved = (self.run(other, memory) - self.run(x, memory)).detach()[:, 1].abs().max()
        require(float(moved) > 1e-9, "position 1 does not depend on position 0.", "Does the block attend to anything yet?")


class LanguageModel:
    """One CausalLM of the submission, and the weights that it was given."""

    def __init__(
        self,
        submission: Any,
        tensors: Tensors,
        vocab_size: int = 7,
        d_model: int = 6,
        num_heads: int = 3,
        d_ff: int = 5,
        num_layers: int = 2,
        max_len: int = 11,
        *,
        state: Mapping[str, Tensor] | None = None,
        dtype: torch.dtype = torch.float64,
        activation: str = "relu",
        norm_first: bool = False,
        dropout: float = 0.0,
    ) -> None:
        self._submission, self._tensors = submission, tensors
        self.vocab_size, self.d_model, self.num_heads, self.d_ff = vocab_size, d_model, num_heads, d_ff
        self.num_layers, self.max_len, self.dtype = num_layers, max_len, dtype
        self._own_blocks: list[Block] = []
        self.activation, self.norm_first = activation, norm_first
        sizes = (vocab_size, d_model, num_heads, d_ff, num_layers, max_len)
        self.module = submission.CausalLM(*sizes, activation=activation, dropout=dropout, norm_first=norm_first).to(dtype)
        self.load(self.random_state() if state is None else state)

    def copy(self, dtype: torch.dtype | None = None) -> LanguageModel:
        """Another module of the submission with these weights and no past."""
        dtype = self.dtype if dtype is None else dtype
        sizes = (self.vocab_size, self.d_model, self.num_heads, self.d_ff, self.num_layers, self.max_len)
        options: dict[str, Any] = {"activation": self.activation, "norm_first": self.norm_first}
        weights = {name: value.to(dtype) for name, value in self.state.items()}
        return LanguageModel(self._submission, self._tensors, *sizes, state=weights, dtype=dtype, **options)

    def random_state(self) -> dict[str, Tensor]:
        draw = self._tensors
        state = {
            "embedding.weight": draw.normal((self.vocab_size, self.d_model), dtype=self.dtype),
            "position_embedding.weight": draw.normal((self.max_len, self.d_model), dtype=self.dtype),
        }
        for layer in range(self.num_layers):
            own = block_state(draw, self.d_model, self.d_ff, False, self.dtype)
            state |= {f"layers.{layer}.{name}": value for name, value in own.items()}
        return state | (norm_state(draw, "norm", self.d_model, self.dtype) if self.norm_first else {})

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.state = dict(state)
        self._own_blocks = []
        load(self.module, state)

    def silence_layers(self) -> None:
        """No attention and no feed-forward network adds anything: what is left is normalised only."""
        silent = {name: torch.zeros_like(value) for name, value in self.state.items() if "out_proj" in name or "linear2" in name}
        self.load({**self.state, **silent})

    def tokens(self, batch: int, length: int) -> Tensor:
        ids: Tensor = self._tensors.integers((batch, length), high=self.vocab_size)
        return ids

    def logits(self, token_ids: Tensor) -> Tensor:
        shape = (*token_ids.shape, self.vocab_size)
        return assert_tensor(self.module(token_ids), shape, self.dtype, what="the logits")

    def expected(self, token_ids: Tensor, state: Mapping[str, Tensor] | None = None) -> Tensor:
        """The logits that the submission's own blocks lead to; they have gradients when a state is given that can be learned."""
        learned = state is not None
        state = self.state if state is None else state
        x = state["embedding.weight"][token_ids] + state["position_embedding.weight"][: token_ids.size(1)]
        if not self._own_blocks:
            self._own_blocks = [self._own_block(naive.part(self.state, f"layers.{layer}")) for layer in range(self.num_layers)]
        for block in self._own_blocks:
            x = block.run(x if learned else x.detach())
        return self.head(x, state)

    def head(self, x: Tensor, state: Mapping[str, Tensor] | None = None) -> Tensor:
        state = self.state if state is None else state
        x = naive.layer_norm(naive.part(state, "norm"), x) if self.norm_first else x
        return x.double() @ state["embedding.weight"].double().T

    def check(self, token_ids: Tensor, *, when: str = "", hint: str | None = None) -> None:
        expected = self.expected(token_ids)
        assert_matches(self.logits(token_ids), expected, what=f"the logits{when}", tolerance=TOLERANCES[self.dtype], hint=hint)

    def require_attention(self) -> None:
        """A model that does nothing has nothing to say about what follows."""
        first = torch.tensor([[0, 1], [1, 1]])
        logits = self.logits(first).detach()
        moved = (logits[0, 1] - logits[1, 1]).abs().max()
        require(float(moved) > 1e-9, "the logits at position 1 do not depend on the token at position 0.", "Do the layers reach the logits yet?")

    def _own_block(self, state: Mapping[str, Tensor]) -> Block:
        options: dict[str, Any] = {"dtype": self.dtype, "activation": self.activation, "norm_first": self.norm_first}
        return Block(self._submission, self._tensors, self.d_model, self.num_heads, self.d_ff, state=state, **options)


def answers_of(owners: Mapping[str, Block | LanguageModel], questions: Sequence[tuple[str, bool, tuple[Any, ...]]]) -> list[Tensor]:
    """Who is asked, in train mode with gradients or in eval mode without, and with which arguments."""
    answers, modes = [], dict.fromkeys(owners, True)
    for name, training, arguments in questions:
        owner = owners[name]
        if modes[name] is not training:
            owner.module.train(training)
            modes[name] = training
        with torch.set_grad_enabled(training):
            answers.append((owner.logits if isinstance(owner, LanguageModel) else owner.run)(*arguments).detach())
    return answers


def gradients(result: Tensor, cotangent: Tensor, sources: Sequence[Tensor]) -> list[Tensor]:
    """Gradients as tensors, zero where the result does not depend on a source."""
    if not result.requires_grad:
        return [torch.zeros_like(source) for source in sources]
    found = torch.autograd.grad(result, sources, cotangent, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(source) if gradient is None else gradient for source, gradient in zip(sources, found, strict=True)]


def dependence(tensors: Tensors, run: Callable[[Tensor], Tensor], source: Tensor, length: int) -> Tensor:
    """(B, L, S): the size of the gradient that flows from position i of the result to position j of the source, exactly 0 when none does.

    One call answers for all of the result's `length` positions: `run` gets that many copies of each sequence of the source, and copy i is
    asked about position i.
    """
    batch, position = source.size(0), torch.arange(length)
    copies = each(length, source.detach()).requires_grad_()
    result = run(copies)
    cotangent = torch.zeros(batch, length, length, result.size(-1), dtype=result.dtype)
    cotangent[:, position, position] = tensors.normal((batch, length, result.size(-1)), dtype=result.dtype)
    (gradient,) = gradients(result, cotangent.flatten(0, 1), [copies])
    return gradient.abs().sum(dim=-1).view(batch, length, -1)


def each(times: int, tensor: Tensor) -> Tensor:
    """Every sequence so many times in a row."""
    return tensor.repeat_interleave(times, dim=0)


def removed(block: Block, x: Tensor, memory: Tensor | None = None, masks: Masks = NO_MASKS) -> list[Tensor]:
    """For each sequence, the block's output for what its masks leave, the rest taken out of x and memory. Rows of hidden positions are missing."""
    outputs = []
    for b in range(x.size(0)):
        own = x[b : b + 1] if masks.padding is None else x[b : b + 1, ~masks.padding[b]]
        if own.size(1) == 0:
            outputs.append(own[0])  # a sequence has at least one position
            continue
        source = None
        if memory is not None:
            source = memory[b : b + 1] if masks.memory_padding is None else memory[b : b + 1, ~masks.memory_padding[b]]
        outputs.append(block.run(own, source).detach()[0])
    return outputs
