"""The handout of 05 tells the truth: its numbers, its formulas, its points, its drawing and its figures."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import ModuleType

import matplotlib as mpl
import pytest
import torch
import torch.nn.functional as F

from autograder.authoring.figures import causal_decoder as figures
from autograder.authoring.notebooks import split_handout
from autograder.checking.submission import load_module
from autograder.checking.tensors import Tensors
from autograder.hidden_tests import naive_causal_decoder as naive
from autograder.hidden_tests import test_causal_decoder as suite
from autograder.hidden_tests.causal_decoder_checks import block_state

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "assignments" / "05_causal_decoder"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SECTIONS = split_handout(README)[1]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return load_module(REPOSITORY / "reference_solutions" / "causal_decoder.py")


@pytest.fixture(scope="module")
def example() -> dict[str, torch.Tensor]:
    """Rows of the worked example's tables by their labels ("norm1" holds the rows "norm1 0", "norm1 1" …)."""
    rows: dict[str, list[list[float]]] = {}
    for line in SECTIONS["A worked example"].splitlines():
        label, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells and all(re.fullmatch(r"-?\d+(\.\d+)?", cell) for cell in cells):
            rows.setdefault(label.rpartition(" ")[0], []).append([float(cell) for cell in cells])
    return {label: torch.tensor(numbers, dtype=torch.float64) for label, numbers in rows.items()}


@pytest.fixture(scope="module")
def block(reference):
    """The weights that the example describes in words."""
    eye, zeros = torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    block = reference.DecoderBlock(2, 1, 2, norm_first=True, cross_attention=False).to(torch.float64)
    state = block.state_dict() | {"self_attention.in_proj_weight": eye.repeat(3, 1), "self_attention.in_proj_bias": zeros.repeat(3)}
    state |= {"self_attention.out_proj.weight": eye, "self_attention.out_proj.bias": torch.tensor([0.0, 1.0])}
    state |= {"linear1.weight": eye, "linear1.bias": zeros, "linear2.weight": torch.tensor([[0.0, 2.0], [1.0, 0.0]]), "linear2.bias": zeros}
    block.load_state_dict(state)
    return block


def rounded(tensor):
    return torch.round(tensor.detach(), decimals=4).tolist()


def test_worked_example(block, example):
    x = example["x"].unsqueeze(0)
    normalised = block.norm1(x)
    assert rounded(normalised[0]) == example["norm1"].tolist()
    scores = normalised[0] @ normalised[0].T / math.sqrt(2)
    assert {f"{abs(score):.4f}" for score in scores.flatten().tolist()} == {"1.4142"}
    future = torch.ones(3, 3, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(future, -torch.inf).softmax(-1)
    assert rounded(weights) == example["weights"].tolist()
    attended = weights @ normalised[0] + torch.tensor([0.0, 1.0])
    assert rounded(torch.cat([attended, x[0] + attended], dim=1)) == example["attended"].tolist()
    hidden = torch.relu(block.norm3(x + attended))
    assert rounded(block.linear2(hidden)[0]) == [[0, 1], [2, 0], [0, 1]]
    assert rounded(block(x)[0]) == example["output"].tolist()


def test_worked_example_with_padding(block, example):
    x = example["x"].unsqueeze(0)
    mask = torch.tensor([[True, False, False]])
    attended = block._attend_to_past(block.norm1(x), mask)[0]
    assert rounded(torch.cat([attended, block(x, padding_mask=mask)[0]], dim=1)) == example["padded"].tolist()


def test_worked_head(reference, example, block):
    """The numbers of the last table, by hand and by the model's own head behind a layer that adds nothing."""
    embedding, logits = example["token"][:, :2], example["token"][:, 2]
    assert rounded(embedding @ F.layer_norm(example["output"][1], (2,))) == logits.tolist()
    model = reference.CausalLM(3, 2, 1, 2, 1, 1, norm_first=True).to(torch.float64)
    state = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    state |= {"norm.weight": torch.ones(2), "embedding.weight": embedding, "position_embedding.weight": example["output"][1:2] - embedding[:1]}
    model.load_state_dict(state)
    assert rounded(model(torch.tensor([[0]]))[0, 0]) == logits.tolist()


@pytest.mark.parametrize("norm_first", [False, True])
def test_table_of_the_two_orders(reference, norm_first):
    """Each row of the table, read off the handout and computed."""
    rows = re.findall(r"^\| \d \| \$(.+?)\$ \| \$(.+?)\$ \|$", SECTIONS["The maths"], re.MULTILINE)
    assert len(rows) == 3
    tensors = Tensors(3)
    state = block_state(tensors, 6, 5)
    x, memory = tensors.normal((2, 4, 6), (2, 3, 6))
    block = reference.DecoderBlock(6, 3, 5, norm_first=norm_first).to(torch.float64)
    block.load_state_dict(state)
    names = {f"norm{i}": (lambda y, i=i: naive.layer_norm(naive.part(state, f"norm{i}"), y)) for i in (1, 2, 3)}
    names |= {
        "attend": lambda y: naive.attention(naive.part(state, "self_attention"), 3, y, y, None, causal=True),
        "consult": lambda y: naive.attention(naive.part(state, "cross_attention"), 3, y, memory, None),
        "feed": lambda y: naive.feed_forward(state, y),
    }
    computed = x
    for row in rows:
        formula = re.sub(r"\\mathrm\{(\w+)\}", r"\1", row[norm_first]).replace("norm_", "norm").removeprefix("x = ")
        computed = eval(formula, {**names, "x": computed})
    torch.testing.assert_close(block(x, memory), computed)


def test_formula_of_the_docstring(reference):
    """Logits = x @ embedding.weight^T, of what comes out of the last norm."""
    assert "logits = x @ embedding.weight^T" in reference.CausalLM.forward.__doc__
    model = reference.CausalLM(7, 6, 3, 5, 2, 4, norm_first=True).to(torch.float64)
    token_ids = torch.tensor([[3, 1, 6]])
    x = model.embedding(token_ids) + model.position_embedding.weight[:3]
    for layer in model.layers:
        x = layer(x)
    torch.testing.assert_close(model(token_ids), model.norm(x) @ model.embedding.weight.T)


def test_second_hint_is_still_true():
    """torch's fast path gives NaN to rows without keys, unless key and value are another object. When it no longer does, the hint can go."""
    attention = torch.nn.MultiheadAttention(4, 2, batch_first=True).eval()
    x, padding = torch.randn(1, 3, 4), torch.tensor([[True, False, False]])
    masks = {"attn_mask": torch.ones(3, 3, dtype=torch.bool).triu(1), "key_padding_mask": padding, "need_weights": False}
    with torch.no_grad():
        same = attention(x, x, x, **masks)[0]
        others = attention(x, x.view_as(x), x.view_as(x), **masks)[0]
    assert same[0, 0].isnan().all()
    torch.testing.assert_close(others[0, 0], attention.out_proj.bias.detach())
    assert not attention(x, x, x, **masks)[0].isnan().any()


def test_points_add_up_and_are_those_of_the_suite():
    told = sum(float(points) for points in re.findall(r"^\| ([\d.]+) \|", SECTIONS["What the points are for"], re.MULTILINE))
    tests = [value for name, value in vars(suite).items() if name.startswith("test_")]
    given = sum(mark.args[0] for test in tests for mark in test.pytestmark if mark.name == "points")
    assert told == given == 20


def test_drawing_runs(reference):
    mpl.use("Agg")
    (code,) = re.findall(r"^```python\n(.*?)^```", SECTIONS["Draw it"], re.MULTILINE | re.DOTALL)
    drawn = {"DecoderBlock": reference.DecoderBlock}
    exec(code, drawn)
    visible = torch.ones(8, 8, dtype=torch.bool).tril() & ((torch.arange(8) >= 2) | torch.eye(8, dtype=torch.bool))
    assert torch.equal(drawn["of_x"] > 0, visible)
    assert torch.equal(drawn["of_memory"] > 0, (torch.arange(6) < 4).expand(8, 6))
    mpl.pyplot.close("all")


def test_figure_shows_what_the_handout_says(reference):
    one, three, padded, memory = figures.dependence(reference).values()
    assert torch.equal(one, torch.ones_like(one).tril())
    assert torch.equal(three, one)
    assert padded[:, :3].sum() == 3
    assert memory[:, :5].all()
    assert not memory[:, 5:].any()


def test_figures_are_in_step_with_the_reference(reference, tmp_path):
    for path in figures.draw(tmp_path, reference):
        assert path.read_bytes() == (FOLDER / "figures" / path.name).read_bytes(), f"{path.name} is out of step: draw the figures again"
        assert f"](figures/{path.name})" in README
        assert path.stat().st_size < 100_000
