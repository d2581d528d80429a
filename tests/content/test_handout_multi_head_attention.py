"""The handout of 03 tells the truth: its numbers, its formulas, its points and its drawing."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import ModuleType

import matplotlib as mpl
import pytest
import torch

from autograder.authoring.figures import multi_head_attention as figures
from autograder.authoring.notebooks import split_handout
from autograder.checking.submission import load_module
from autograder.hidden_tests import test_multi_head_attention as suite

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "assignments" / "03_multi_head_attention"
SECTIONS = split_handout((FOLDER / "README.md").read_text(encoding="utf-8"))[1]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return load_module(REPOSITORY / "reference_solutions" / "multi_head_attention.py")


@pytest.fixture(scope="module")
def example() -> dict[str, torch.Tensor]:
    """Rows of the worked example's tables by their labels."""
    rows = {}
    for line in SECTIONS["A worked example"].splitlines():
        label, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        numbers = [cell for cell in cells if cell]
        if line.startswith("|") and numbers and all(re.fullmatch(r"-?\d+(\.\d+)?", cell) for cell in numbers):
            rows[label] = torch.tensor([float(cell) for cell in numbers], dtype=torch.float64)
    return rows


@pytest.fixture(scope="module")
def module(reference, example):
    identity, zeros = torch.eye(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    state = {f"{name}.weight": identity for name in ("w_q", "w_k", "w_v")} | {f"{name}.bias": zeros for name in ("w_q", "w_k", "w_v")}
    state |= {"w_o.weight": torch.stack([example[f"w_o row {i}"] for i in range(4)]), "w_o.bias": example["w_o bias"]}
    module = reference.MultiHeadAttention(4, 2).to(torch.float64)
    module.load_state_dict(state)
    return module


def inputs(example):
    return (
        example["query"].view(1, 1, 4),
        torch.stack([example[f"key {j}"] for j in range(3)]).unsqueeze(0),
        torch.stack([example[f"value {j}"] for j in range(3)]).unsqueeze(0),
    )


def rounded(*tensors):
    return [torch.round(tensor.detach(), decimals=4).flatten().tolist() for tensor in tensors]


def test_worked_example(module, example):
    query, key, value = inputs(example)
    output, weights = module(query, key, value)
    for head in range(2):
        scores = query[0, 0, 2 * head : 2 * head + 2] @ key[0, :, 2 * head : 2 * head + 2].T / math.sqrt(2)
        assert rounded(scores, weights[0, head]) == rounded(example[f"scores of head {head}"], example[f"weights of head {head}"])
    heads = torch.cat([weights[0, head] @ value[0, :, 2 * head : 2 * head + 2] for head in range(2)], dim=-1)
    assert rounded(heads, output) == rounded(example["concatenated"], example["output"])


def test_worked_example_with_a_mask(module, example):
    query, key, value = inputs(example)
    mask = torch.tensor([[[[True, True, True]], [[False, True, False]]]])
    assert "(1, 2, 1, 3)" in SECTIONS["A worked example"]
    output, weights = module(query, key, value, mask)
    assert rounded(*weights[0]) == rounded(example["masked weights of head 0"], example["masked weights of head 1"])
    heads = torch.cat([weights[0, head] @ value[0, :, 2 * head : 2 * head + 2] for head in range(2)], dim=-1)
    assert rounded(heads, output) == rounded(example["masked concatenated"], example["masked output"])


def test_formula_of_the_paper(reference):
    """MultiHead(Q, K, V) = Concat(head_1, ..., head_H) W_O with head_h = Attention(Q W_Q_h, K W_K_h, V W_V_h)."""
    attention = load_module(REPOSITORY / "reference_solutions" / "attention.py").scaled_dot_product_attention
    generator = torch.Generator().manual_seed(1)
    module = reference.MultiHeadAttention(6, 3, bias=False).to(torch.float64)
    query, key, value = (torch.randn(2, n, 6, generator=generator, dtype=torch.float64) for n in (4, 5, 5))
    heads = []
    for h in range(3):
        columns = slice(2 * h, 2 * h + 2)
        w_q, w_k, w_v = (layer.weight.T[:, columns] for layer in (module.w_q, module.w_k, module.w_v))
        heads.append(attention(query @ w_q, key @ w_k, value @ w_v)[0])
    torch.testing.assert_close(module(query, key, value)[0], torch.cat(heads, dim=-1) @ module.w_o.weight.T)
    assert "Head h owns columns h*D ... (h+1)*D - 1" in reference.MultiHeadAttention.__doc__


def test_bare_reshape_mixes_heads():
    """What the second figure shows: the numbers of head 0, split rightly and by a bare reshape."""
    projected = torch.arange(24).view(4, 6)
    assert projected.view(4, 3, 2).transpose(0, 1)[0].tolist() == projected[:, :2].tolist()
    assert projected.view(3, 4, 2)[0].tolist() != projected[:, :2].tolist()


def test_points_add_up_and_are_those_of_the_suite():
    told = sum(float(points) for points in re.findall(r"^\| ([\d.]+) \|", SECTIONS["What the points are for"], re.MULTILINE))
    tests = [value for name, value in vars(suite).items() if name.startswith("test_")]
    given = sum(mark.args[0] for test in tests for mark in test.pytestmark if mark.name == "points")
    assert told == given == 20


def test_drawing_runs(reference, monkeypatch):
    mpl.use("Agg")
    (code,) = re.findall(r"^```python\n(.*?)^```", SECTIONS["Draw it"], re.MULTILINE | re.DOTALL)
    drawn = {"MultiHeadAttention": reference.MultiHeadAttention}
    exec(code, drawn)
    torch.testing.assert_close(drawn["weights"][..., 0], drawn["weights"][..., 3])  # the two "the"
    assert len(drawn["panels"]) == 4


def test_figures_are_in_step_with_the_reference(reference, tmp_path):
    for path in figures.draw(tmp_path, reference):
        assert path.read_bytes() == (FOLDER / "figures" / path.name).read_bytes()
        assert f"figures/{path.name}" in (FOLDER / "README.md").read_text(encoding="utf-8")
