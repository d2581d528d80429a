"""What the hidden tests of 06 build and take apart: small models, ids with padding, what enters the first layer, a plain greedy loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autograder.checking.assertions import assert_matches, assert_tensor, require

PAD = 3
SRC_VOCABULARY, TGT_VOCABULARY = 11, 13
SIZES = {"d_model": 6, "num_heads": 2, "num_layers": 2, "d_ff": 10, "dropout": 0.0, "pad_id": PAD}


def build(submission: Any, tensors: Any, **changes: Any) -> tuple[Any, dict[str, Tensor]]:
    """A small model in float64 with random weights, and the weights."""
    model = submission.Transformer(SRC_VOCABULARY, TGT_VOCABULARY, **{**SIZES, **changes}).to(torch.float64)
    weights = tensors.state_like(model)
    model.load_state_dict(weights)
    return model, weights


def real_ids(tensors: Any, *shape: int, vocabulary: int, pad_id: int = PAD) -> Tensor:
    """Random ids, none of them padding; id 0 is among them when it is a token like any other."""
    ids: Tensor = tensors.integers(shape, low=0, high=vocabulary - 1)
    ids = ids + (ids >= pad_id)
    if pad_id != 0 and ids.size(1) > 2:
        ids[:, 2] = 0
    return ids


def source_ids(tensors: Any, *shape: int, pad_id: int = PAD) -> Tensor:
    return real_ids(tensors, *shape, vocabulary=SRC_VOCABULARY, pad_id=pad_id)


def target_ids(tensors: Any, *shape: int, pad_id: int = PAD) -> Tensor:
    return real_ids(tensors, *shape, vocabulary=TGT_VOCABULARY, pad_id=pad_id)


def nothing_hidden(memory: Tensor) -> Tensor:
    """The mask (B, S) of a memory without padding."""
    return torch.zeros(memory.shape[:2], dtype=torch.bool)


def embedded_source(submission: Any, weights: dict[str, Tensor], src: Tensor, **changes: Any) -> Tensor:
    """What the submission's own encoder layers receive: its memory without layers. A mistake made there is not counted again in the layers."""
    model = _without_layers(submission, weights, weights["output.weight"], changes)
    d_model = weights["output.weight"].size(1)
    return assert_tensor(model.encode(src), (*src.shape, d_model), what="the memory without layers").detach()


def embedded_target(submission: Any, weights: dict[str, Tensor], tgt: Tensor, **changes: Any) -> Tensor:
    """What the submission's own decoder layers receive, read off by an output matrix that copies each feature onto a logit."""
    d_model = weights["output.weight"].size(1)
    model = _without_layers(submission, weights, torch.eye(TGT_VOCABULARY, d_model, dtype=torch.float64), changes)
    memory = torch.zeros(tgt.size(0), 1, d_model, dtype=torch.float64)
    logits = model.decode(tgt, memory, nothing_hidden(memory))
    return assert_tensor(logits, (*tgt.shape, TGT_VOCABULARY), what="the logits without layers").detach()[..., :d_model]


def _without_layers(submission: Any, weights: dict[str, Tensor], output: Tensor, changes: dict[str, Any]) -> Any:
    model = submission.Transformer(SRC_VOCABULARY, TGT_VOCABULARY, **{**SIZES, **changes, "num_layers": 0}).to(torch.float64)
    embeddings = {name: weights[name] for name in ("src_embedding.weight", "tgt_embedding.weight")}
    model.load_state_dict({**embeddings, "output.weight": output})
    return model


def assert_rows_match(result: Any, expected: Tensor, padding: Tensor, *, what: str, real_hint: str, padding_hint: str) -> None:
    """Compare the rows of real tokens, then those of padding, as a mistake in either means another thing."""
    result = assert_tensor(result, expected.shape, what=what)
    assert_matches(result[~padding], expected[~padding], what=f"{what} at real tokens", hint=real_hint)
    assert_matches(result[padding], expected[padding], what=f"{what} at padding", hint=padding_hint)


def greedy_rows(model: Any, src: Tensor, bos_id: int, eos_id: int, steps: int, pad_id: int = PAD) -> list[list[int]]:
    """Greedy decoding with the submission's own encode and decode, in eval mode: each row up to and with its first eos."""
    model.eval()
    with torch.no_grad():
        memory, padding = model.encode(src), src == pad_id
        ids = torch.full((src.size(0), 1), bos_id)
        for _ in range(steps):
            logits = assert_tensor(model.decode(ids, memory, padding), (*ids.shape, TGT_VOCABULARY), what="the logits")
            ids = torch.cat([ids, logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    model.train()
    rows = ids[:, 1:].tolist()
    return [row[: row.index(eos_id) + 1] if eos_id in row else row for row in rows]


def gradients_of(result: Any, leaves: Sequence[Tensor], cotangent: Tensor, *, what: str) -> list[Tensor]:
    """The gradient for each leaf, zeros where none arrives."""
    hint = "Is anything detached, or computed without gradient?"
    require(assert_tensor(result, cotangent.shape, what=what).requires_grad, f"no gradient passes through {what}.", hint)
    found = torch.autograd.grad(result, list(leaves), cotangent, allow_unused=True)
    return [torch.zeros_like(leaf) if gradient is None else gradient for leaf, gradient in zip(leaves, found, strict=True)]
