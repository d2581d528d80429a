"""The handout of 04 tells the truth: its numbers, its formulas, its points and its drawing."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import ModuleType

import matplotlib as mpl
import pytest
import torch
import torch.nn.functional as F

from autograder.authoring.figures import encoder_block as figures
from autograder.authoring.notebooks import split_handout
from autograder.checking.submission import load_module
from autograder.hidden_tests import test_encoder_block as suite

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "assignments" / "04_encoder_block"
HANDOUT = (FOLDER / "README.md").read_text(encoding="utf-8")
SECTIONS = split_handout(HANDOUT)[1]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return load_module(REPOSITORY / "reference_solutions" / "encoder_block.py")


@pytest.fixture(scope="module")
def example() -> dict[str, torch.Tensor]:
    """Rows of the worked example's tables by their labels; those of the two orders under the order's name, too."""
    rows, order = {}, ""
    for line in SECTIONS["A worked example"].splitlines():
        label, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        numbers = [cell for cell in cells if cell]
        if line.startswith("|") and not numbers:
            order = f"{label}, " if label else ""
        if line.startswith("|") and numbers and all(re.fullmatch(r"-?\d+(\.\d+)?", cell) for cell in numbers):
            rows[order + label] = torch.tensor([float(cell) for cell in numbers], dtype=torch.float64)
    return rows


def four_decimals(tensor: torch.Tensor) -> list[float]:
    return (torch.round(tensor.detach(), decimals=4) + 0.0).tolist()  # + 0.0: no negative zeros


def block_of(reference, example, norm_first):
    block = reference.EncoderBlock(4, 1, 2, norm_first=norm_first).to(torch.float64)
    identity, state = torch.eye(4, dtype=torch.float64), {name: torch.zeros_like(value) for name, value in block.state_dict().items()}
    state["self_attention.in_proj_weight"] = torch.cat([torch.zeros(8, 4, dtype=torch.float64), identity])
    state["self_attention.out_proj.weight"] = identity
    state["feed_forward.linear1.weight"] = torch.stack([example[f"linear1, into hidden unit {i}"] for i in range(2)])
    assert "a bias of 0.5 for both hidden units" in SECTIONS["A worked example"]
    state["feed_forward.linear1.bias"] += 0.5
    state["feed_forward.linear2.weight"] = torch.stack([example[f"linear2, from hidden unit {i}"] for i in range(2)], dim=1)
    state["feed_forward.linear2.bias"] = example["linear2, bias"]
    state["norm1.weight"] += 1
    state["norm2.weight"] += 1
    block.load_state_dict(state)
    x = torch.stack([example["position 0"], example["position 1"], example["position 2, padding"]])
    return block, x


def lines(example, order):
    return {label.removeprefix(f"{order}, "): row for label, row in example.items() if label.startswith(order)}


@pytest.mark.parametrize("size", ["", "small: "])
def test_layer_norm_by_hand(reference, example, size):
    x = example[f"{size[:-2]} x".strip()]
    centred, eps = x - x.mean(), 1e-5
    assert four_decimals(reference.LayerNorm(4).to(torch.float64)(x)) == four_decimals(example[f"{size}layer norm"])
    assert four_decimals(centred / torch.sqrt(x.var() + eps)) == four_decimals(example[f"{size}divided by E − 1"])
    assert four_decimals(centred / (x.std(correction=0) + eps)) == four_decimals(example[f"{size}ε outside the root"])
    if not size:
        assert (x.mean(), x.var(correction=0)) == (3, 3.5)
    else:
        assert x.var(correction=0) < eps


def test_post_norm_by_hand(reference, example):
    block, x = block_of(reference, example, norm_first=False)
    told = lines(example, "post-norm")
    attended = x[:2].mean(dim=0)
    u = block.norm1(x[0] + attended)
    hidden = block.feed_forward.linear1(u)
    fed = block.feed_forward(u)
    found = [attended, x[0] + attended, u, hidden, F.relu(hidden), fed, u + fed]
    output = block(x[None], torch.tensor([[False, False, True]]))[0, 0]
    assert [four_decimals(row) for row in [*found, output]] == [four_decimals(row) for row in told.values()]


def test_norm_first_by_hand(reference, example):
    block, x = block_of(reference, example, norm_first=True)
    told = lines(example, "norm_first")
    normalised = block.norm1(x[:2])
    v = x[0] + normalised.mean(dim=0)
    hidden = block.feed_forward.linear1(block.norm2(v))
    found = [*normalised, normalised.mean(dim=0), v, block.norm2(v), hidden, F.relu(hidden), block.feed_forward(block.norm2(v))]
    output = block(x[None], torch.tensor([[False, False, True]]))[0, 0]
    assert [four_decimals(row) for row in [*found, output]] == [four_decimals(row) for row in told.values()]


def test_formula_of_layer_norm(reference):
    """y = (x - mean) / sqrt(variance + eps) * weight + bias."""
    module, x = reference.LayerNorm(5, eps=0.3).to(torch.float64), torch.randn(2, 3, 5, dtype=torch.float64)
    module.load_state_dict({"weight": torch.randn(5), "bias": torch.randn(5)})
    scope = {"x": x, "mean": x.mean(-1, keepdim=True), "variance": x.var(-1, correction=0, keepdim=True)}
    scope |= {"eps": 0.3, "weight": module.weight, "bias": module.bias, "sqrt": torch.sqrt}
    formula = "(x - mean) / sqrt(variance + eps) * weight + bias"
    assert f"y = {formula}" in reference.LayerNorm.__doc__
    torch.testing.assert_close(module(x), eval(formula, scope))
    torch.testing.assert_close(module(x), F.layer_norm(x, (5,), module.weight, module.bias, 0.3))


def test_formula_of_the_feed_forward_network(reference):
    formula = "linear2(dropout(activation(linear1(x))))"
    assert formula in reference.FeedForward.__doc__
    assert r"\mathrm{linear2}(\mathrm{dropout}(\mathrm{activation}(\mathrm{linear1}(x))))" in HANDOUT
    x = torch.randn(2, 3, 4)
    exact = {"relu": lambda z: z.clamp(min=0), "gelu": lambda z: z * torch.special.ndtr(z)}
    for name, activation in exact.items():
        module = reference.FeedForward(4, 7, name)
        scope = {"linear1": module.linear1, "linear2": module.linear2, "dropout": module.dropout, "activation": activation, "x": x}
        torch.testing.assert_close(module(x), eval(formula, scope))


def test_tanh_approximation_is_off_by_what_the_handout_says():
    z = torch.linspace(-6, 6, 100_001, dtype=torch.float64)
    (told,) = re.findall(r"off by up to\s+([\d.]+)", HANDOUT)
    assert round(float((F.gelu(z) - F.gelu(z, approximate="tanh")).abs().max()), 4) == float(told)


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_two_orders(reference, norm_first):
    """Both columns of the handout's table, and the lines of the docstring, are what the block does."""
    rows = re.findall(r"^\| (?:first|then) \| (.*?) \| (.*?) \|$", HANDOUT, re.MULTILINE)
    block = reference.EncoderBlock(6, 2, 5, norm_first=norm_first).to(torch.float64)
    scope = {name: getattr(block, name) for name in ("norm1", "norm2", "dropout1", "dropout2", "feed_forward")}
    scope["attend"] = lambda x: block.self_attention(x, x, x, need_weights=False)[0]
    given = torch.randn(2, 3, 6, dtype=torch.float64)
    doc = re.sub(r"\s+", " ", reference.EncoderBlock.__doc__)
    (in_docstring,) = re.findall(r"norm_first \(Xiong et al\. 2020\): (.*?)\. dropout1" if norm_first else r"in the paper: (.*?)\. norm_first", doc)
    for statements in ([row[norm_first] for row in rows], in_docstring.split("; ")):
        assert len(statements) == 2
        scope["x"] = given
        for statement in statements:
            exec(statement, scope)
        torch.testing.assert_close(scope["x"], block(given))


def test_what_the_handout_says_of_nan(reference):
    """need_weights=True gives NaN to a sequence of padding, need_weights=False does not; the fast path may."""
    layer = torch.nn.MultiheadAttention(6, 2, batch_first=True)
    x, hidden = torch.randn(1, 4, 6), torch.ones(1, 4, dtype=torch.bool)
    assert layer(x, x, x, key_padding_mask=hidden)[0].isnan().all()
    torch.testing.assert_close(layer(x, x, x, key_padding_mask=hidden, need_weights=False)[0], layer.out_proj.bias.expand(1, 4, 6))
    with torch.no_grad():
        assert layer.eval()(x, x, x, key_padding_mask=hidden, need_weights=False)[0].isnan().all()
        block = reference.EncoderBlock(6, 2, 5).eval()
        assert block(x, hidden).isfinite().all()


def test_parameters_are_those_that_the_handout_lists(reference):
    names = {name.split(".")[0] for name in reference.EncoderBlock(6, 2, 5).state_dict()}
    contract = SECTIONS["The contract"]
    assert names == {"self_attention", "feed_forward", "norm1", "norm2"}
    assert all(f"`{name}`" in contract for name in [*names, "dropout1", "dropout2", "weight", "bias", "linear1", "linear2", "layers", "norm"])
    assert {name.split(".")[0] for name in reference.Encoder(2, 6, 2, 5).state_dict()} == {"layers"}
    assert {name.split(".")[0] for name in reference.Encoder(2, 6, 2, 5, norm_first=True).state_dict()} == {"layers", "norm"}


def test_points_add_up_and_are_those_of_the_suite():
    told = sum(float(points) for points in re.findall(r"^\| ([\d.]+) \|", SECTIONS["What the points are for"], re.MULTILINE))
    tests = [value for name, value in vars(suite).items() if name.startswith("test_")]
    given = sum(mark.args[0] for test in tests for mark in test.pytestmark if mark.name == "points")
    assert math.isclose(told, given)
    assert told == 20


def test_drawing_runs(reference, monkeypatch):
    mpl.use("Agg")
    (code,) = re.findall(r"^```python\n(.*?)^```", SECTIONS["Draw it"], re.MULTILINE | re.DOTALL)
    drawn = {"EncoderBlock": reference.EncoderBlock}
    exec(code, drawn)
    influence = drawn["influence"]
    assert influence.diagonal().min() > 0
    assert (influence[:, 3:].fill_diagonal_(0) == 0).sum() >= 8  # the columns of padding, but for two squares
    off = influence.clone().fill_diagonal_(0)
    assert (off[:, :3].count_nonzero(dim=1) >= 2).all()
    assert off[:, 3:].count_nonzero() == 0


def test_figures_are_in_step_with_the_reference(reference, tmp_path):
    for path in figures.draw(tmp_path, reference):
        assert path.read_bytes() == (FOLDER / "figures" / path.name).read_bytes()
        assert f"figures/{path.name}" in HANDOUT
