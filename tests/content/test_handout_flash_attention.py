"""Every number and formula of the handout of 09_flash_attention, computed again."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path

import pytest
import torch

from autograder.authoring.figures.flash_attention import draw
from autograder.authoring.notebooks import split_handout
from autograder.checking.submission import load_module

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "assignments" / "09_flash_attention"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SECTIONS = split_handout(README)[1]


@pytest.fixture(scope="module")
def reference():
    return load_module(REPOSITORY / "reference_solutions" / "flash_attention.py")


def tables(section):
    """The Markdown tables of a section, each a list of rows of cells, the line under the head left out."""
    blocks = re.findall(r"(?:^\|.*\n)+", SECTIONS[section] + "\n", re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines() if not re.fullmatch(r"[|\- ]+", line)]
        for block in blocks
    ]


def numbers(cell):
    return torch.tensor([float(number) for number in cell.split(",")], dtype=torch.float64)


def four(values):
    return [round(float(value), 4) for value in values]


@pytest.fixture(scope="module")
def example():
    """query, key, value of the worked example, as its text gives them."""
    text = SECTIONS["A worked example"]
    query = float(re.search(r"One query q = (\d+)", text)[1])
    key, value = (numbers(re.search(rf"{name} = \(([\d, ]+)\)", text)[1]).unsqueeze(-1) for name in ("k", "v"))
    return torch.tensor([[query]], dtype=torch.float64), key, value


def test_worked_forward_pass(reference, example):
    query, key, value = example
    _, *rows = tables("A worked example")[0]
    highest, total, summed = -math.inf, 0.0, 0.0
    for tile, (_, scores, m, shrink, p, denominator, output) in enumerate(rows):
        part = slice(2 * tile, 2 * tile + 2)
        of_tile = (key[part] @ query)[:, 0]
        assert numbers(scores).tolist() == of_tile.tolist()
        higher = max(highest, float(of_tile.max()))
        factor, weights = math.exp(highest - higher), torch.exp(of_tile - higher)
        total, summed, highest = factor * total + float(weights.sum()), factor * summed + float(weights @ value[part, 0]), higher
        assert (float(m), float(shrink), float(denominator), float(output)) == (highest, *four([factor, total, summed]))
        assert numbers(p).tolist() == four(weights)
    (_, output), (_, logsumexp) = tables("A worked example")[1][-2:]
    found = reference.flash_attention_forward(query, key, value, False, 1.0, 1, 2)
    assert four([found[0], found[1]]) == [float(output), float(logsumexp)]
    assert four([summed / total, highest + math.log(total)]) == [float(output), float(logsumexp)]


def test_worked_sentence_on_shrinking():
    text = SECTIONS["A worked example"]
    factor, before, tile = map(float, re.search(r"ℓ = ([\d.]+) · ([\d.]+) \+ ([\d.]+)", text).groups())
    (_, *_, total, _) = tables("A worked example")[0][2]
    assert factor * before + tile == pytest.approx(float(total), abs=1e-3)
    factor, before, first, weight, second = map(float, re.search(r"o = ([\d.]+) · ([\d.]+) \+ (\d+) \+ ([\d.]+) · (\d+)", text).groups())
    assert factor * before + first + weight * second == pytest.approx(float(tables("A worked example")[0][2][-1]), abs=1e-2)
    assert round(math.exp(2 - 4), 4) == factor


def test_worked_backward_pass(reference, example):
    query, key, value = example
    output, logsumexp = reference.flash_attention_forward(query, key, value, False, 1.0, 1, 2)
    grad_output = torch.ones(1, 1, dtype=torch.float64)
    grad_query, grad_key, grad_value = reference.flash_attention_backward(grad_output, query, key, value, output, logsumexp, False, 1.0, 1, 2)
    _, *rows = tables("A worked example")[2]
    _, scores, p, grad_weights, grad_scores = ([float(cell) for cell in column] for column in zip(*rows, strict=True))
    assert scores == (key @ query)[:, 0].tolist()
    assert p == four(grad_value)
    assert p == four(torch.exp(torch.tensor(scores) - logsumexp))
    assert grad_weights == value[:, 0].tolist()
    assert grad_scores == four(grad_key)
    assert tables("A worked example")[3] == [["dq", f"{float(grad_query):.4f}"]]
    assert f"δ = {float(output):.4f}" in SECTIONS["A worked example"]


def test_formulas_of_the_maths_section_and_the_docstring(reference):
    for formula in (r"e^{m - m'} \ell + \sum_j p_{ij}", r"P \circ (dP - \delta)", r"scale \cdot dS\, K", r"m_i + \ln \ell_i"):
        assert formula in SECTIONS["The maths"]
    lines = " ".join(inspect.getdoc(reference.flash_attention_backward).split())
    for formula in ("P = exp(scale Q K^T - logsumexp)", "dV = P^T dO", "dS = P * (dO V^T - rowsum(dO * O))", "dQ = scale dS K", "dK = scale dS^T Q"):
        assert formula in lines
    generator = torch.Generator().manual_seed(0)
    Q, K, V, dO = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((5, 3), (7, 3), (7, 2), (5, 2)))
    scale = 0.7
    output, logsumexp = reference.flash_attention_forward(Q, K, V, False, scale, 2, 3)
    torch.testing.assert_close(logsumexp, torch.log(torch.exp(scale * Q @ K.T).sum(1)))
    P = torch.exp(scale * Q @ K.T - logsumexp.unsqueeze(1))
    dS = P * (dO @ V.T - (dO * output).sum(1, keepdim=True))
    torch.testing.assert_close(output, P @ V)
    torch.testing.assert_close((dO * output).sum(1), (P * (dO @ V.T)).sum(1))
    found = reference.flash_attention_backward(dO, Q, K, V, output, logsumexp, False, scale, 2, 3)
    torch.testing.assert_close(found, (scale * dS @ K, scale * dS.T @ Q, P.T @ dO))


def test_size_of_the_scores():
    assert "16,384 × 16,384" in README
    assert 16_384**2 * torch.float32.itemsize == 2**30


def test_points_add_up():
    _, *groups = tables("What the points are for")[0]
    assert sum(float(points) for points, _ in groups) == 20


def test_drawing_code_runs(reference):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    (code,) = re.findall(r"^```python\n(.*?)^```", SECTIONS["Draw it"], re.MULTILINE | re.DOTALL)
    names = {"flash_attention_forward": reference.flash_attention_forward}
    exec(code, names)
    matplotlib.pyplot.close("all")
    assert names["read"][0].tolist() == [1.0] * 9 + [0.0] * 7  # queries 0 … 3 see keys up to 7, in blocks of 3


def test_figures_are_those_of_the_reference(reference, tmp_path):
    for path in draw(tmp_path, reference):
        assert path.read_bytes() == (FOLDER / "figures" / path.name).read_bytes(), f"{path.name} is out of step: draw the figures again"
        assert f"](figures/{path.name})" in README
        assert path.stat().st_size < 100_000
