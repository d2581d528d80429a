"""Layers, blocks and stacks of the submission with known weights: how the hidden tests of 04 run and compare them.

A block is held to naive attention between the submission's own LayerNorm and FeedForward, and a stack to the submission's own blocks,
so that a mistake in one of them costs its own points and not those of all that is made of it. For the same reason most calls get a copy of
their input: a change in place has a test of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autograder.checking.assertions import assert_matches, assert_tensor, require
from autograder.checking.tensors import Tensors
from autograder.checking.tolerance import LOGIC, SANITY, Tolerance, smoke
from autograder.hidden_tests import naive_encoder_block as naive

# The worst of the alternative solutions is off by 0.07 in bfloat16 on the inputs of these tests.
TOLERANCES = {torch.float64: LOGIC, torch.float32: SANITY, torch.bfloat16: smoke(0.07)}
STEP = 1e-5
DERIVATIVE = Tolerance("difference quotient", relative=1e-5)
MODES = tuple((training, grad) for training in (True, False) for grad in (True, False))


def mode_text(training: bool, grad: bool) -> str:
    return f" in {'train' if training else 'eval'} mode {'with' if grad else 'without'} gradients"


def norm_state(tensors: Tensors, d_model: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    return {
        "weight": tensors.uniform((d_model,), low=0.5, high=1.5, dtype=dtype),
        "bias": tensors.normal((d_model,), dtype=dtype, scale=0.5),
    }


def feed_forward_state(tensors: Tensors, d_model: int, d_ff: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    shapes = {"linear1.weight": (d_ff, d_model), "linear1.bias": (d_ff,), "linear2.weight": (d_model, d_ff), "linear2.bias": (d_model,)}
    return _drawn(tensors, shapes, dtype)


def block_state(tensors: Tensors, d_model: int, d_ff: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Random weights of one block: no layer is near zero or one."""
    shapes = {
        "in_proj_weight": (3 * d_model, d_model),
        "in_proj_bias": (3 * d_model,),
        "out_proj.weight": (d_model, d_model),
        "out_proj.bias": (d_model,),
    }
    parts = {
        "self_attention": _drawn(tensors, shapes, dtype),
        "feed_forward": feed_forward_state(tensors, d_model, d_ff, dtype),
        "norm1": norm_state(tensors, d_model, dtype),
        "norm2": norm_state(tensors, d_model, dtype),
    }
    return {f"{name}.{key}": value for name, state in parts.items() for key, value in state.items()}


def _stack_state(tensors: Tensors, num_layers: int, d_model: int, d_ff: int, dtype: torch.dtype, norm_first: bool) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for i in range(num_layers):
        state |= {f"layers.{i}.{name}": value for name, value in block_state(tensors, d_model, d_ff, dtype).items()}
    if norm_first:
        state |= {f"norm.{name}": value for name, value in norm_state(tensors, d_model, dtype).items()}
    return state


def _drawn(tensors: Tensors, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: tensors.normal(shape, dtype=dtype, scale=shape[-1] ** -0.5 if len(shape) == 2 else 0.5) for name, shape in shapes.items()}


def loaded(module: Any, state: Mapping[str, Tensor]) -> Any:
    """The module in the weights' dtype and with the weights. Entries that should not exist keep their values: a test of its own looks for them."""
    module.to(next(iter(state.values())).dtype)
    try:
        module.load_state_dict(state)
    except RuntimeError:
        module.load_state_dict({**module.state_dict(), **state})
    return module


def _other_than_default(activation: str, dropout: float, norm_first: bool) -> dict[str, Any]:
    """Options as a caller writes them: what is the default anyway is left out."""
    options = {"activation": (activation, "relu"), "dropout": (dropout, 0.0), "norm_first": (norm_first, False)}
    return {name: value for name, (value, default) in options.items() if value != default}


class Block:
    """One EncoderBlock of the submission with random weights (unless `state` says which), beside its own parts with the same ones."""

    def __init__(
        self,
        submission: Any,
        tensors: Tensors,
        d_model: int = 6,
        num_heads: int = 3,
        d_ff: int = 5,
        *,
        state: Mapping[str, Tensor] | None = None,
        dtype: torch.dtype = torch.float64,
        activation: str = "relu",
        norm_first: bool = False,
        dropout: float = 0.0,
    ) -> None:
        self._submission, self._tensors = submission, tensors
        self.num_heads, self.d_ff, self.activation, self.norm_first = num_heads, d_ff, activation, norm_first
        self.module = submission.EncoderBlock(d_model, num_heads, d_ff, **_other_than_default(activation, dropout, norm_first))
        self.load(block_state(tensors, d_model, d_ff, dtype) if state is None else state)

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.state = dict(state)
        loaded(self.module, state)
        self.d_model = state["norm1.weight"].numel()
        self.dtype = state["norm1.weight"].dtype
        self._parts: tuple[Any, Any, Any] | None = None

    def run(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """The submission's output, of the right shape and dtype; a mask of None is left out."""
        result = self.module(x) if padding is None else self.module(x, padding)
        return assert_tensor(result, x.shape, x.dtype, what="the block's output")

    def parts(self) -> tuple[Any, Any, Any]:
        """The submission's own norm1, norm2 and feed-forward network with the block's weights, each on its own."""
        if self._parts is None:
            norms = [loaded(self._submission.LayerNorm(self.d_model), naive.part(self.state, name)) for name in ("norm1", "norm2")]
            feed = self._submission.FeedForward(self.d_model, self.d_ff, self.activation)
            self._parts = (norms[0], norms[1], loaded(feed, naive.part(self.state, "feed_forward")))
        return self._parts

    def expected(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        weights = naive.part(self.state, "self_attention")
        norm1, norm2, feed = (_whole(part) for part in self.parts())
        return naive.encoder_block(
            x, lambda given: naive.self_attention(weights, self.num_heads, given, padding), feed, norm1, norm2, self.norm_first
        )

    def check(self, x: Tensor, padding: Tensor | None = None, *, when: str = "", hint: str | None = None) -> None:
        result, expected = self.run(x.clone(), padding), self.expected(x, padding)
        assert_matches(result, expected, what=f"the block's output{when}", tolerance=TOLERANCES[self.dtype], hint=hint)

    def require_attention(self) -> None:
        require_attention(self.run, self._tensors, self.d_model, self.dtype)


class Stack:
    """One Encoder of the submission with random weights, beside blocks of its own with the same ones."""

    def __init__(
        self,
        submission: Any,
        tensors: Tensors,
        num_layers: int,
        d_model: int = 6,
        num_heads: int = 3,
        d_ff: int = 5,
        *,
        dtype: torch.dtype = torch.float64,
        activation: str = "relu",
        norm_first: bool = False,
        dropout: float = 0.0,
        state: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._submission, self._tensors = submission, tensors
        self.num_layers, self.d_model, self.norm_first, self.dtype = num_layers, d_model, norm_first, dtype
        self.module = submission.Encoder(num_layers, d_model, num_heads, d_ff, **_other_than_default(activation, dropout, norm_first))
        self._sizes: tuple[int, int, int] = (d_model, num_heads, d_ff)
        self._options: dict[str, Any] = {"activation": activation, "norm_first": norm_first}
        self.load(_stack_state(tensors, num_layers, d_model, d_ff, dtype, norm_first) if state is None else state)

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.state = dict(state)
        loaded(self.module, state)

    def run(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        result = self.module(x) if padding is None else self.module(x, padding)
        return assert_tensor(result, x.shape, x.dtype, what="the encoder's output")

    def expected(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        for i in range(self.num_layers):
            state = naive.part(self.state, f"layers.{i}")
            x = Block(self._submission, self._tensors, *self._sizes, state=state, **self._options).run(x, padding)
        return self.norm()(x) if self.norm_first else x

    def norm(self) -> naive.Layer:
        """The submission's own LayerNorm with the weights of the last norm."""
        return _whole(loaded(self._submission.LayerNorm(self.d_model), naive.part(self.state, "norm")))

    def check(self, x: Tensor, padding: Tensor | None = None, *, when: str = "", hint: str | None = None) -> None:
        result, expected = self.run(x.clone(), padding), self.expected(x, padding)
        assert_matches(result, expected, what=f"the encoder's output{when}", tolerance=TOLERANCES[self.dtype], hint=hint)

    def require_attention(self) -> None:
        require_attention(self.run, self._tensors, self.d_model, self.dtype)


def _whole(part: Any) -> naive.Layer:
    """A part of the submission, whose result has the shape and dtype of what it is given."""

    def call(x: Tensor) -> Tensor:
        return assert_tensor(part(x), x.shape, x.dtype, what="the result of a LayerNorm or FeedForward alone")

    return call


def require_attention(run: Any, tensors: Tensors, d_model: int, dtype: torch.dtype) -> None:
    """Fail unless a position's output depends on the other position: what a mask hides, and what a call remembers, means nothing otherwise."""
    first, second, other = tensors.normal((3, d_model), dtype=dtype)
    result = run(torch.stack([torch.stack(pair) for pair in ((first, second), (first, other), (other, second))])).detach()
    moved = max(float((result[1, 0] - result[0, 0]).abs().max()), float((result[2, 1] - result[0, 1]).abs().max()))
    require(moved > 1e-6, "a position's output does not depend on the other positions.", "Where does attention enter the sum?")


def torch_layer(block: Block) -> nn.TransformerEncoderLayer:
    """torch's own layer with the block's weights, in train mode: its fast path in eval mode is another implementation."""
    options: dict[str, Any] = {"batch_first": True, "norm_first": block.norm_first, "dtype": block.dtype}
    layer = nn.TransformerEncoderLayer(block.d_model, block.num_heads, block.d_ff, 0.0, block.activation, **options)
    names = {name: name.replace("self_attention.", "self_attn.").replace("feed_forward.", "") for name in block.state}
    layer.load_state_dict({names[name]: value for name, value in block.state.items()})
    return layer.train()


def gradients(result: Tensor, cotangent: Tensor, sources: Sequence[Tensor]) -> list[Tensor]:
    """Gradients as tensors, zero where the result does not depend on a source."""
    if not result.requires_grad:
        return [torch.zeros_like(source) for source in sources]
    found = torch.autograd.grad(result, sources, cotangent, allow_unused=True)
    return [torch.zeros_like(source) if gradient is None else gradient for source, gradient in zip(sources, found, strict=True)]


def check_derivatives(tensors: Tensors, module: Any, state: Mapping[str, Tensor], shape: Sequence[int], *, of: str, hint: str) -> None:
    """Gradients of x and of each layer's weights, along a random direction, against differences of the module's own results."""
    parameters = dict(module.named_parameters())
    for name in state:
        require(name in parameters, f"{name} is no parameter that can be learned.", "The constructor is given: was it changed?")
    point = {"x": tensors.normal(shape)} | dict(state)
    cotangent, directions = tensors.normal(shape), {name: tensors.normal(value.shape) for name, value in point.items()}
    x = point["x"].clone().requires_grad_()
    sources = {"x": x} | {name: parameters[name] for name in state}
    result = assert_tensor(module(x.clone()), shape, torch.float64, what=f"the result of {of}")
    found = dict(zip(sources, gradients(result, cotangent, list(sources.values())), strict=True))

    def along(layer: Sequence[str], step: float) -> Tensor:
        moved = {name: value + step * directions[name] if name in layer else value for name, value in point.items()}
        with torch.no_grad():
            given = moved.pop("x")
            moved_result: Tensor = loaded(module, moved)(given)
            total: Tensor = (moved_result * cotangent).sum()
            return total

    for layer in dict.fromkeys(name.rpartition(".")[0] or name for name in point):
        names = [name for name in point if (name.rpartition(".")[0] or name) == layer]
        slope = (along(names, STEP) - along(names, -STEP)) / (2 * STEP)
        steepness = torch.stack([(found[name] * directions[name]).sum() for name in names]).sum()
        assert_matches(steepness, slope, what=f"the gradient of {layer} through {of}, along one direction,", tolerance=DERIVATIVE, hint=hint)
    loaded(module, state)


def check_slope(tensors: Tensors, run: naive.Layer, shape: Sequence[int], *, what: str, hint: str) -> None:
    """The gradient of x along a random direction, against a difference of results."""
    x, cotangent, direction = tensors.normal(shape).requires_grad_(), tensors.normal(shape), tensors.normal(shape)
    (found,) = gradients(run(x.clone()), cotangent, [x])
    with torch.no_grad():
        above, below = (run(x.detach() + step * direction) for step in (STEP, -STEP))
    slope = ((above - below) * cotangent).sum() / (2 * STEP)
    assert_matches((found * direction).sum(), slope, what=what, tolerance=DERIVATIVE, hint=hint)


def check_without_padding(runner: Block | Stack, x: Tensor, padding: Tensor, *, what: str, hint: str) -> Tensor:
    """Hold what stands beside padding to what each sequence gives when its padding is taken out; returns the whole result."""
    result = runner.run(x.clone(), padding)
    for b in range(x.size(0)):
        visible = ~padding[b]
        alone = runner.run(x[b : b + 1, visible].detach()).detach()
        assert_matches(result[b : b + 1, visible], alone, what=what, hint=hint)
    return result


def dropout_outcomes(undropped: Tensor, given: Tensor, p: float) -> Tensor:
    """(2^E, …, E): all that undropped + dropout(given) can be, for few features E."""
    kept = torch.tensor(list(itertools.product((0.0, 1.0), repeat=given.size(-1))), dtype=given.dtype)
    return undropped + (kept * given / (1 - p)).view(-1, *[1] * (undropped.dim() - 1), given.size(-1))


def silent(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights, but for the last layer of each sub-layer, which gives 0."""
    return {name: torch.zeros_like(value) if "out_proj" in name or "linear2" in name else value for name, value in state.items()}


def check_outcomes(result: Tensor, outcomes: Tensor, p: float, *, what: str, hint: str) -> None:
    """Hold each position to the nearest of its possible outcomes (see `dropout_outcomes`), and the choices to be drawn one by one."""
    features = result.size(-1)
    nearest = (outcomes - result).abs().amax(dim=-1).argmin(dim=0)  # (B, L): which features were kept, as bits
    expected = outcomes.gather(0, nearest[None, ..., None].expand(1, *nearest.shape, features))[0]
    assert_matches(result, expected, what=what, hint=hint)
    check_draws((nearest[..., None] >> torch.arange(features - 1, -1, -1)) % 2 == 1, p, hint)


def check_counts(added: Tensor, given: Tensor, p: float, *, groups: int, sources: int, of: str, hint: str, together: str) -> None:
    """Each feature that was added is a count of what an inner dropout left of `sources` equal parts of `given`, or 0 by an outer dropout.

    Features of one of the `groups` count the same parts.
    """
    count = (added * sources * (1 - p) ** 2 / given).unflatten(-1, (groups, -1))
    require(float(count.max()) > 0.5, "the sub-layer adds nothing in train mode.", hint)
    assert_matches(count, count.round(), what=f"the number of {of} that are left, counted in the block's output in train mode,", hint=hint)
    of_group = count.amax(dim=-1, keepdim=True)
    what = f"the number of {of} left, feature by feature,"
    assert_matches(count, torch.where(count.round() > 0, of_group, 0.0), what=what, hint=together)
    require(len(of_group.round().unique()) > 3, f"as many {of} are left at every position: dropout does not act on them one by one.", hint)


def check_draws(kept: Tensor, p: float, hint: str) -> None:
    """Survivors, as a bool tensor, are as many as dropout leaves, and drawn one by one."""
    share = float(kept.double().mean())
    require(abs(share - (1 - p)) < 0.12, f"dropout keeps {share:.0%} of the values where dropout={p}.", hint)
    shared = [bool((kept == kept.narrow(axis, 0, 1)).all()) for axis in range(kept.dim())]
    require(not any(shared), "dropout does not draw anew for each value.", "Sequences, positions or features share one draw.")
