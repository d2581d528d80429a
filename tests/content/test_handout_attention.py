"""The handout 01_attention and the docstrings of its reference say what the reference computes."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import torch

from autograder.authoring.figures import attention as figures
from autograder.checking.submission import load_module

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "assignments" / "01_attention"
HANDOUT = (FOLDER / "README.md").read_text(encoding="utf-8")
EXAMPLE, DRAWING = re.findall(r"^```python\n(.*?)^```\n", HANDOUT, re.MULTILINE | re.DOTALL)
REFERENCE: Any = load_module(REPOSITORY / "reference_solutions" / "attention.py")
SUITE: Any = load_module(REPOSITORY / "autograder" / "hidden_tests" / "test_attention.py")

POINTS = {
    "`padding_mask`": ("padding_is", "padding_mask"),
    "`causal_mask`": ("causal_mask",),
    "`combine_masks`": ("combined_mask", "one_mask", "combine_masks"),
    "attention without a mask": ("weights_are", "output_is", "any_"),
    "attention with a mask": ("mask_", "query_without"),
    "gradients": ("gradients",),
    "large scores": ("large", "results_have"),
    "inputs left alone": ("inputs", "masks_that", "every_call"),
}


@pytest.fixture(scope="module")
def example() -> dict[str, torch.Tensor]:
    names: dict[str, Any] = {}
    exec(EXAMPLE, names)
    return {
        name: torch.tensor(value, dtype=torch.bool if name in ("causal", "padding") else torch.float64)
        for name, value in names.items()
        if name[0] != "_"
    }


def test_every_number_of_the_worked_example(example: dict[str, torch.Tensor]) -> None:
    query, key, value = example["query"], example["key"], example["value"]
    torch.testing.assert_close(query @ key.T, example["products"])
    torch.testing.assert_close(query @ key.T / math.sqrt(query.size(1)), example["scores"])
    assert torch.equal(REFERENCE.causal_mask(2, 3), example["causal"])
    assert torch.equal(REFERENCE.padding_mask(torch.tensor([[9, 9, 9]]), 9), example["padding"])
    for prefix, mask in (("", None), ("causal_", example["causal"]), ("padding_", example["padding"])):
        output, weights = REFERENCE.scaled_dot_product_attention(query, key, value, mask)
        assert torch.equal(weights.mul(1e4).round(), example[f"{prefix}weights"].mul(1e4).round()), prefix
        assert torch.equal(output.mul(1e4).round(), example[f"{prefix}output"].mul(1e4).round()), prefix
    e = math.e
    fractions = torch.tensor([e / (2 * e + 1), 1 / (2 * e + 1), e / (e + 1), 1 / (e + 1)], dtype=torch.float64)
    shown = torch.stack([example["weights"][0, 0], example["weights"][0, 1], *example["causal_weights"][0, :2]])
    torch.testing.assert_close(fractions, shown, atol=5e-5, rtol=0.0)


@pytest.mark.parametrize(("query_length", "key_length"), [(3, 3), (2, 5), (5, 2), (1, 4)])
def test_formula_of_the_causal_mask(query_length: int, key_length: int) -> None:
    """j > i + S - L, as in the handout and the docstring."""
    expected = [[j > i + key_length - query_length for j in range(key_length)] for i in range(query_length)]
    assert "j > i + S - L" in HANDOUT
    assert "j > i + S - L" in REFERENCE.causal_mask.__doc__
    assert REFERENCE.causal_mask(query_length, key_length).tolist() == expected
    assert bool(REFERENCE.causal_mask(query_length, key_length)[: max(0, query_length - key_length)].all())


def test_formulas_of_attention() -> None:
    """softmax(Q K^T / sqrt(D)) V, and in single entries exp(s_ij) / sum_k exp(s_ik)."""
    assert "softmax(Q K^T / sqrt(D)) V" in REFERENCE.scaled_dot_product_attention.__doc__
    query, key, value = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 5), (4, 5), (4, 2)))
    output, weights = REFERENCE.scaled_dot_product_attention(query, key, value)
    scores = torch.tensor([[sum(q[d] * k[d] for d in range(5)) / math.sqrt(5) for k in key] for q in query], dtype=torch.float64)
    torch.testing.assert_close(weights, scores.exp() / scores.exp().sum(1, keepdim=True))
    torch.testing.assert_close(output, torch.softmax(query @ key.T / math.sqrt(5), -1) @ value)


def test_shapes_of_combined_masks() -> None:
    """The shapes that the handout and the docstring name."""
    padding, causal = torch.zeros(2, 5, dtype=torch.bool), REFERENCE.causal_mask(3, 5)
    assert REFERENCE.combine_masks(padding, causal).shape == (2, 1, 3, 5)
    assert REFERENCE.combine_masks(padding).shape == (2, 1, 1, 5)
    assert REFERENCE.combine_masks(causal=causal).shape == (3, 5)
    assert REFERENCE.combine_masks() is None


def test_mask_is_that_of_multihead_attention_and_the_opposite_of_sdpa() -> None:
    query, key, value = (torch.randn(2, 4, 6) for _ in range(3))
    mask = REFERENCE.causal_mask(4)
    output, weights = REFERENCE.scaled_dot_product_attention(query, key, value, mask)
    torch.testing.assert_close(output, torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=~mask))
    theirs = torch.nn.MultiheadAttention(6, 1, batch_first=True)
    _, their_weights = theirs(query, key, value, attn_mask=mask)
    assert torch.equal(their_weights == 0, weights == 0)


def test_drawing_runs_on_a_right_solution() -> None:
    with mpl.rc_context({"backend": "Agg"}):
        names = dict(vars(REFERENCE))
        exec(DRAWING, names)
        weights, queries, keys = torch.rand(2, 3, dtype=torch.float64), ["a", "b"], ["c", "d", "e"]
        axes = names["draw_attention"](weights, queries, keys).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == queries  # a row for each query
    assert [label.get_text() for label in axes.get_xticklabels()] == keys
    assert torch.equal(torch.from_numpy(axes.images[0].get_array().data), weights)


def test_points_are_those_of_the_suite() -> None:
    suite = {name.removeprefix("test_"): test for name, test in vars(SUITE).items() if name.startswith("test_")}
    points = {name: next(mark.args[0] for mark in test.pytestmark if mark.name == "points") for name, test in suite.items()}
    rows = re.findall(r"^\| (.*?) \| \**([\d.]+)\** \|$", HANDOUT, re.MULTILINE)
    told = {row: float(value) for row, value in rows}
    assert told.pop("**sum**") == sum(points.values()) == sum(told.values())
    for title, prefixes in POINTS.items():
        expected = sum(value for name, value in points.items() if name.startswith(prefixes))
        assert [value for row, value in told.items() if row.startswith(title)] == [expected], title


def test_figures_are_in_step_with_the_reference(tmp_path: Path) -> None:
    for path in figures.draw(tmp_path, REFERENCE):
        assert path.read_bytes() == (FOLDER / "figures" / path.name).read_bytes(), f"{path.name}: run `python -m autograder.authoring.figures`"
        assert f"(figures/{path.name})" in HANDOUT
