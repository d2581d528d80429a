"""How the hidden tests of 09 call the submission and judge what comes back: values, gradients, and what they cost.

The two functions are called under no_grad and take plain tensors; only `flash_attention` has to be differentiable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autograder.checking.assertions import assert_matches, assert_tensor, fail, require
from autograder.checking.measurement import Cost
from autograder.checking.tolerance import SANITY_GRADIENT, Tolerance
from autograder.hidden_tests import naive_flash_attention as naive

LEAD = (1, 1)  # batch and heads, as most write it: other leading dimensions have a test of their own
_ANY = Tolerance("noted only", absolute=math.inf)
Inputs = tuple[Tensor, Tensor, Tensor]
_GRADIENTS = ("the gradient of query", "the gradient of key", "the gradient of value")


@dataclass(frozen=True)
class Call:
    """The arguments after query, key and value, always all given. Most tests write the default scale out: what None means is a test of its own."""

    causal: bool
    scale: float | None
    block_q: int
    block_k: int

    @property
    def arguments(self) -> tuple[bool, float | None, int, int]:
        return self.causal, self.scale, self.block_q, self.block_k

    def __str__(self) -> str:
        return f"with {'causal ' if self.causal else ''}tiles of {self.block_q} × {self.block_k}"


def draw(tensors: Any, lead: Sequence[int], L: int, S: int, D: int, Dv: int, **options: Any) -> Inputs:
    """Random query (…, L, D), key (…, S, D) and value (…, S, Dv)."""
    query, key, value = tensors.normal((*lead, L, D), (*lead, S, D), (*lead, S, Dv), **options)
    return query, key, value


def plain(query: Tensor, block_q: int, block_k: int, causal: bool = False) -> Call:
    """A call with the default scale, written out."""
    return Call(causal, 1 / math.sqrt(query.size(-1)), block_q, block_k)


def one_tile(inputs: Sequence[Tensor], causal: bool = False) -> Call:
    """A call with one tile that is as large as the matrix: neither tails nor blocks longer than a sequence, which have a test of their own."""
    return plain(inputs[0], inputs[0].size(-2), inputs[1].size(-2), causal)


def forward(submission: Any, inputs: Sequence[Tensor], call: Call) -> tuple[Tensor, Tensor]:
    """output and logsumexp, once they are known to be two tensors of the right shapes."""
    query, _, value = inputs
    with torch.no_grad():
        results = submission.flash_attention_forward(*inputs, *call.arguments)
    if not (isinstance(results, tuple | list) and len(results) == 2):
        fail("flash_attention_forward does not return two tensors.", "It returns the output and the logsumexp, in this order.")
    assert_tensor(results[0], (*query.shape[:-1], value.size(-1)), what=f"the output {call}")
    assert_tensor(results[1], query.shape[:-1], what=f"the logsumexp {call}")
    return results[0], results[1]


def backward(submission: Any, grad_output: Tensor, inputs: Sequence[Tensor], call: Call) -> naive.Gradients:
    """What the backward pass makes of the *right* output and logsumexp, so that the forward pass's mistakes are not counted again."""
    output, logsumexp = naive.attention(inputs, call.causal, call.scale)
    wide = torch.float64 if inputs[0].dtype == torch.float64 else torch.float32
    return backward_from(submission, grad_output, inputs, (output.to(inputs[0].dtype), logsumexp.to(wide)), call)


def backward_from(submission: Any, grad_output: Tensor, inputs: Sequence[Tensor], results: Sequence[Tensor], call: Call) -> naive.Gradients:
    """The three gradients, once they are known to be tensors of the right shapes."""
    with torch.no_grad():
        gradients = submission.flash_attention_backward(grad_output, *inputs, *results, *call.arguments)
    if not (isinstance(gradients, tuple | list) and len(gradients) == 3):
        fail("flash_attention_backward does not return three tensors.", "It returns the gradients of query, key and value, in this order.")
    for gradient, given, what in zip(gradients, inputs, _GRADIENTS, strict=True):
        assert_tensor(gradient, given.shape, what=f"{what} {call}")
    return naive.Gradients(*gradients)


def differentiate(submission: Any, grad_output: Tensor, inputs: Sequence[Tensor], call: Call) -> tuple[Tensor, naive.Gradients]:
    """output of `flash_attention` and gradients through it; inputs that do not require grad get zeros."""
    query, _, value = inputs
    output = submission.flash_attention(*inputs, *call.arguments)
    assert_tensor(output, (*query.shape[:-1], value.size(-1)), what=f"the result of flash_attention {call}")
    hint = "Does it go through FlashAttention.apply, and does that return the output itself?"
    require(output.requires_grad, "no gradient flows through the result of flash_attention.", hint)
    wanted = [x for x in inputs if x.requires_grad]
    found = iter(torch.autograd.grad(output, wanted, grad_output, allow_unused=True))
    gradients = [(next(found) if x.requires_grad else None) for x in inputs]
    return output, naive.Gradients(*(torch.zeros_like(x) if g is None else g for g, x in zip(gradients, inputs, strict=True)))


def check_that_it_attends(submission: Any, tensors: Any) -> None:
    """Whatever else is wrong, the output has to depend on all three inputs: for tests that compare a submission with itself."""
    query, key, value = draw(tensors, LEAD, 2, 3, 2, 2)
    call = one_tile((query, key))
    before, _ = forward(submission, (query, key, value), call)
    changed = (("query", (query.flip(-2), key, value)), ("key", (query, key.flip(-1), value)), ("value", (query, key, value * 2)))
    for name, inputs in changed:
        after, _ = forward(submission, inputs, call)
        depends = bool(((before != after) & before.isfinite() & after.isfinite()).any())
        require(depends, f"the output does not depend on {name}.", "Is it softmax(scale · Q Kᵀ) V yet?")


def check_that_it_differentiates(submission: Any, tensors: Any) -> None:
    """Whatever else is wrong, the gradients have to depend on that of the output."""
    inputs, grad_output = draw(tensors, LEAD, 2, 3, 2, 2), tensors.normal((*LEAD, 2, 2))
    before, after = (backward(submission, of, inputs, one_tile(inputs)) for of in (grad_output, grad_output * 2))
    for one, other, what in zip(before, after, _GRADIENTS, strict=True):
        depends = bool(((one != other) & one.isfinite() & other.isfinite()).any())
        require(depends, f"{what} does not depend on grad_output.", "Is it one of the products of the backward pass yet?")


def check_output(submission: Any, inputs: Sequence[Tensor], call: Call, *, hint: str, what: str = "the output", **options: Any) -> None:
    output, _ = forward(submission, inputs, call)
    assert_matches(output, naive.attention(inputs, call.causal, call.scale).output, what=f"{what} {call}", hint=hint, **options)


def check_logsumexp(submission: Any, inputs: Sequence[Tensor], call: Call, *, hint: str, what: str = "the logsumexp", **options: Any) -> None:
    _, logsumexp = forward(submission, inputs, call)
    assert_matches(logsumexp, naive.attention(inputs, call.causal, call.scale).logsumexp, what=f"{what} {call}", hint=hint, **options)


def check_gradients(
    submission: Any, grad_output: Tensor, inputs: Sequence[Tensor], call: Call, *, hint: str, of: str = "", **options: Any
) -> naive.Gradients:
    """Value first, then query, then key: each needs one step more than the one before."""
    gradients = backward(submission, grad_output, inputs, call)
    expected = naive.gradients(grad_output, inputs, call.causal, call.scale)
    compare_gradients(gradients, expected, f"{of}{call}", hint=hint, **options)
    return gradients


def compare_gradients(gradients: naive.Gradients, expected: naive.Gradients, when: str, *, hint: str, **options: Any) -> None:
    for index in (2, 0, 1):
        assert_same(gradients[index], expected[index], what=f"{_GRADIENTS[index]} {when}", hint=hint, **options)


def assert_same(actual: Tensor, expected: Tensor, *, what: str, hint: str, **options: Any) -> None:
    """Two ways to one result agree, also where both are NaN: that is another test's finding."""
    both = actual.isnan() & expected.isnan() if actual.shape == expected.shape else None
    if both is not None and both.any():
        actual, expected = actual.masked_fill(both, 0.0), expected.masked_fill(both, 0.0)
    assert_matches(actual, expected, what=what, hint=hint, **options)


def visible_tiles(L: int, S: int, call: Call) -> int:
    """Tiles in which the last query sees the first key."""
    last_queries = [min(start + call.block_q, L) - 1 for start in range(0, L, call.block_q)]
    return sum(not call.causal or first_key <= last + S - L for last in last_queries for first_key in range(0, S, call.block_k))


def check_largest_tensor(cost: Cost, inputs: Sequence[Tensor], call: Call, *, of: str) -> None:
    """Nothing much larger than the inputs or than a tile: what grows with L * S, or with a length times a block, is seen."""
    query, key, value = inputs
    lead, L, S = math.prod(query.shape[:-2]), query.size(-2), key.size(-2)
    of_inputs = 2 * lead * max(L, S) * (max(query.size(-1), value.size(-1)) + 1)
    bound = of_inputs + lead * call.block_q * call.block_k
    as_large_as = 2 if cost.largest_tensor >= lead * L * S else 1 if cost.largest_tensor > bound else 0
    note(as_large_as)
    words = {2: "as large as the whole matrix of L × S scores.", 1: "far larger than a tile or an input: does it grow with a length times a block?"}
    hint = "Which of your tensors has that many numbers, and which of the two loops would make it a tile of the size that was asked for?"
    require(as_large_as == 0, f"{of} makes a tensor of {cost.largest_tensor:,} numbers, {words.get(as_large_as)}", hint)


MANY, TILE = 8_192, 512
_MEMORY_BYTES = 160 * 2**20  # the scores of MANY queries and keys are 256 MiB


def check_that_forward_fits(submission: Any, tensors: Any) -> None:
    """A cost that a worker counts it could falsify; the kernel's limit it cannot lift."""
    inputs = draw(tensors, LEAD, MANY, MANY, 4, 4, dtype=torch.float32)
    call, some = plain(inputs[0], TILE, TILE), _some_tile(tensors)
    few = (inputs[0][..., some, :], *inputs[1:])
    own, _ = forward(submission, few, call)
    with submission.limits(memory_bytes=_MEMORY_BYTES):
        output, _ = forward(submission, inputs, call)
    _check_some(output[..., some, :], own, _whole_matrix(few, call).output, "the output of some")


def check_that_backward_fits(submission: Any, tensors: Any) -> None:
    """The same for the backward pass, by the gradient of some of the queries."""
    query, key, value = draw(tensors, LEAD, MANY, MANY, 4, 4, dtype=torch.float32)
    call, some = plain(query, TILE, TILE), _some_tile(tensors)
    grad_output, output = tensors.normal((*LEAD, MANY, 4), (*LEAD, MANY, 4), dtype=torch.float32)
    logsumexp = torch.full((*LEAD, MANY), math.log(MANY))
    few = (query[..., some, :].clone(), key, value)
    output[..., some, :], logsumexp[..., some] = (x.float() for x in _whole_matrix(few, call))
    own = backward_from(submission, grad_output[..., some, :], few, (output[..., some, :], logsumexp[..., some]), call)
    with submission.limits(memory_bytes=_MEMORY_BYTES):
        found = backward_from(submission, grad_output, (query, key, value), (output, logsumexp), call)
    few[0].requires_grad_()
    (expected,) = torch.autograd.grad(_whole_matrix(few, call).output, few[:1], grad_output[..., some, :].double())
    _check_some(found[0][..., some, :], own[0], expected, "the gradient of some")


def check_that_differentiating_fits(submission: Any, tensors: Any) -> None:
    """The same for both passes and what is kept between them, by the output of some of the queries."""
    inputs = [x.requires_grad_() for x in draw(tensors, LEAD, MANY, MANY, 4, 4, dtype=torch.float32)]
    call, some = plain(inputs[0], TILE, TILE), _some_tile(tensors)
    few = [x.detach() for x in (inputs[0][..., some, :], *inputs[1:])]
    own = submission.flash_attention(*few, *call.arguments)
    assert_tensor(own, (*LEAD, TILE, 4), what=f"the result of flash_attention {call}")
    grad_output = tensors.normal((*LEAD, MANY, 4), dtype=torch.float32)
    with submission.limits(memory_bytes=_MEMORY_BYTES):
        output, _ = differentiate(submission, grad_output, inputs, call)
    _check_some(output[..., some, :].detach(), own.detach(), _whole_matrix(few, call).output, "the differentiated output of some")


def _whole_matrix(inputs: Sequence[Tensor], call: Call) -> naive.Attention:
    """The right results at once, which the reference in loops would take a minute for; no causal mask."""
    query, key, value = (x.double() for x in inputs)
    assert call.scale is not None
    assert not call.causal
    scores = query @ key.transpose(-2, -1) * call.scale
    return naive.Attention(scores.softmax(-1) @ value, scores.logsumexp(-1))


def _check_some(found: Tensor, own: Tensor, right: Tensor, what: str) -> None:
    """What many queries get has to be what some of them get by themselves, where that is right: other mistakes do not count again."""
    if bool(((own.double() - right.double()).abs() < 1e-3).all()):
        hint = "It is not what these queries give by themselves: what do queries have to do with one another?"
        assert_same(found, own, what=f"{what} of {MANY:,} queries", hint=hint, tolerance=SANITY_GRADIENT)


def _some_tile(tensors: Any) -> slice:
    begin = TILE * tensors.integer(0, MANY // TILE)
    return slice(begin, begin + TILE)


def check_products(cost: Cost, L: int, S: int, width: int, call: Call, *, most: float, of: str) -> None:
    """At most so many matrix products for each tile that has a visible pair; all widths are `width`. And no fewer than the task is made of."""
    product = 2 * call.block_q * call.block_k * width
    per_tile = cost.flops / product / visible_tiles(L, S, call)
    note(round(per_tile))
    hint = "Which tiles have no visible pair? Which products are made more than once?"
    require(per_tile <= most, f"{of} {call} multiplies {per_tile:.1f} times for each tile that has a visible pair; {int(most)} are enough.", hint)
    # Half of the products of the visible pairs alone: a tensor's own numbers in lists or arrays cost nothing that is counted.
    least = int(most) / 2 * 2 * width * _visible_pairs(L, S, call)
    seen = cost.flops + cost.elementwise_flops >= least
    require(seen, f"{of} {call} multiplies fewer matrices than attention is made of.", "Is all of it computed by operations on tensors?")


def _visible_pairs(L: int, S: int, call: Call) -> int:
    return sum(min(max(query + 1 + S - L, 0), S) for query in range(L)) if call.causal else L * S


def note(number: float) -> None:
    """Let this number count among the answers of a test, by which a known mistake is recognised."""
    assert_matches(torch.tensor(number, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64), tolerance=_ANY)
