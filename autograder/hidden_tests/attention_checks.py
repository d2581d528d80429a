"""How the hidden tests of 01 call attention and judge its results: shapes first, masked weights beside unmasked ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autograder.checking.assertions import assert_finite, assert_matches, assert_tensor, fail, require


def draw_inputs(tensors: Any, query_shape: Sequence[int], keys: int, value_width: int, **options: Any) -> list[Tensor]:
    """Random query, key and value with the leading dimensions and features of `query_shape`."""
    lead, width = query_shape[:-2], query_shape[-1]
    drawn: list[Tensor] = tensors.normal(query_shape, (*lead, keys, width), (*lead, keys, value_width), **options)
    return drawn


def attend(submission: Any, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """The submission's output and weights, once they are known to be two tensors of the right shapes."""
    results = submission.scaled_dot_product_attention(*args, **kwargs)
    if not (isinstance(results, tuple | list) and len(results) == 2):
        fail("scaled_dot_product_attention does not return two tensors.", "It returns the output and the weights, in this order.")
    query, key, value = (*args, *(kwargs[name] for name in ("query", "key", "value") if name in kwargs))[:3]
    output_shape, weights_shape = (*query.shape[:-1], value.size(-1)), (*query.shape[:-1], key.size(-2))
    shapes = [tuple(result.shape) for result in results if isinstance(result, Tensor)]
    if output_shape != weights_shape and shapes == [weights_shape, output_shape]:
        fail("the two results have each other's shape.", "The output comes first, then the weights.")
    assert_tensor(results[0], output_shape, what="the output")
    assert_tensor(results[1], weights_shape, what="the weights")
    return results[0], results[1]


def check_masked(
    output: Tensor, weights: Tensor, unmasked: Tensor, value: Tensor, mask: Tensor, *, what: str = "with a mask", hint: str | None = None
) -> None:
    """Masked weights are the unmasked ones of the visible keys, divided by their sum."""
    hidden = mask.expand(weights.shape)
    if bool((weights[~hidden] == 0).all()) and not bool((weights[hidden] == 0).all()):
        fail(f"the weights {what} are zero exactly where a key is visible.", "Does True mean visible or hidden here?")
    assert_finite(weights, what=f"the weights {what}", hint=hint)
    lowest = "Which score makes exp give exactly 0, however low the visible ones are?"
    require(bool((weights[hidden] == 0).all()), f"a hidden key has a weight that is not 0 ({what}).", hint or lowest)
    remaining = unmasked.detach().masked_fill(hidden, 0.0)
    expected = remaining / remaining.sum(-1, keepdim=True).clamp_min(1e-30)
    assert_matches(weights, expected, what=f"the weights {what}", hint=hint or "What is left of a row's weights must still sum to 1.")
    assert_matches(output, expected @ value, what=f"the output {what}", hint=hint or "Is the output made of the masked weights?")


def gradients_of(
    results: Sequence[Tensor], cotangents: Sequence[Tensor | None], inputs: Sequence[Tensor], *, all_connected: bool = True
) -> list[Tensor]:
    """Gradients of the inputs for the given cotangents of (output, weights); zeros where nothing flows."""
    used = [(result, cotangent) for result, cotangent in zip(results, cotangents, strict=True) if cotangent is not None]
    if all_connected:
        for result, name in zip(results, ("output", "weights"), strict=True):
            require(result.requires_grad, f"no gradient flows through the {name}.", "Is it detached, or made from numbers instead of tensors?")
    used = [(result, cotangent) for result, cotangent in used if result.requires_grad]
    gradients = torch.autograd.grad(
        [result for result, _ in used], inputs, [cotangent for _, cotangent in used], retain_graph=True, allow_unused=True
    )
    return [torch.zeros_like(x) if gradient is None else gradient for x, gradient in zip(inputs, gradients, strict=True)]


def at_shape(combined: Any, shape: Sequence[int]) -> Tensor:
    """A combined mask at the shape of the scores."""
    mask = assert_tensor(combined, what="the combined mask")
    try:
        return mask.expand(shape)
    except RuntimeError:
        fail(
            f"the combined mask has shape {tuple(mask.shape)}, which does not broadcast to (B, H, L, S).",
            "Sizes line up from the right; a dimension of 1 stretches.",
        )
        raise
