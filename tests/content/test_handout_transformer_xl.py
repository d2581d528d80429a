"""Every number and formula of the handout and the docstrings of 10_transformer_xl, computed again."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path

import pytest
import torch

from autograder.authoring.figures.transformer_xl import draw
from autograder.authoring.notebooks import split_handout
from autograder.checking.submission import load_module
from autograder.hidden_tests import test_transformer_xl as suite

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "assignments" / "10_transformer_xl"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SECTIONS = split_handout(README)[1]


@pytest.fixture(scope="module")
def reference():
    return load_module(REPOSITORY / "reference_solutions" / "transformer_xl.py")


def rows_of(section):
    """Rows of the section's tables by their labels, as lists of cells."""
    rows = {}
    for line in SECTIONS[section].splitlines():
        if line.startswith("|") and not re.fullmatch(r"[|\- ]+", line):
            label, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            rows[label] = cells
    return rows


@pytest.fixture(scope="module")
def example():
    return rows_of("A worked example")


def numbers(cells):
    return torch.tensor([float(cell) for cell in cells], dtype=torch.float64)


def table(example, *labels):
    return torch.stack([numbers(example[label]) for label in labels])


@pytest.fixture(scope="module")
def inputs(example):
    memory, x = table(example, "memory"), table(example, "x 0", "x 1")
    return memory, x, numbers(example["u"]), numbers(example["v"])


def four_decimals(tensor):
    return tensor.detach().round(decimals=4)


def test_worked_encoding(reference, example):
    written = table(example, "distance 2", "distance 1", "distance 0")
    assert torch.equal(four_decimals(reference.relative_positional_encoding(3, 2)), written)


def test_worked_scores(reference, example, inputs):
    memory, x, u, v = inputs
    keys = torch.cat([memory, x])
    content = (x + u) @ keys.T
    assert torch.equal(content, table(example, "content of query 0", "content of query 1"))
    position = (x + v) @ reference.relative_positional_encoding(3, 2).T
    assert torch.equal(four_decimals(position), table(example, "position of query 0", "position of query 1"))
    shifted = reference.relative_shift(position)
    assert example["shifted of query 0"][2] == "·"
    assert torch.equal(four_decimals(shifted[0, :2]), numbers(example["shifted of query 0"][:2]))
    assert torch.equal(four_decimals(shifted[1]), numbers(example["shifted of query 1"]))
    scores = (content + shifted) / math.sqrt(2)
    assert example["scores of query 0"][2] == "hidden"
    assert torch.equal(four_decimals(scores[0, :2]), numbers(example["scores of query 0"][:2]))
    assert torch.equal(four_decimals(scores[1]), numbers(example["scores of query 1"]))
    scores[0, 2] = -math.inf
    weights = scores.softmax(-1)
    assert torch.equal(four_decimals(weights), table(example, "weights of query 0", "weights of query 1"))
    assert torch.equal(four_decimals(weights @ keys), table(example, "output 0", "output 1"))
    text = SECTIONS["A worked example"]
    assert "1 · 0.9093 + 2 · (−0.4161) = 0.0770" in text
    assert round(float(position[1, 0]), 4) == 0.0770
    assert "√2 = 1.4142" in text
    assert round(math.sqrt(2), 4) == 1.4142


def test_worked_output(reference, example, inputs):
    memory, x, u, v = inputs
    module = reference.RelativeMultiHeadAttention(2, 1).to(torch.float64)
    identity = torch.eye(2, dtype=torch.float64)
    module.load_state_dict({f"{name}.weight": identity for name in ("w_q", "w_k", "w_v", "w_r", "w_o")} | {"u": u[None], "v": v[None]})
    assert torch.equal(four_decimals(module(x[None], memory[None])[0]), table(example, "output 0", "output 1"))


def test_worked_memories(reference, example):
    """The positions that a memory holds, read off an embedding that counts them."""
    model = reference.TransformerXL(9, 2, 1, 2, 1, 3)
    with torch.no_grad():
        model.embedding.weight.copy_(torch.arange(9.0)[:, None].expand(9, 2) / math.sqrt(2))
    memories, left = None, "none"
    for segment in range(4):
        positions, given, leaves = example[str(segment)]
        assert given == left
        _, memories = model(torch.tensor([[int(position) for position in positions.split()]]), memories)
        assert memories[0][0, :, 0].round().tolist() == [float(position) for position in leaves.split()]
        left = leaves


def test_formulas_of_the_maths_section(reference):
    maths = SECTIONS["The maths"]
    for formula in (
        r"R_{n,\,i} = \sin\left(n \cdot 10000^{-2i / d_{model}}\right)",
        r"R_{n,\,d_{model}/2 + i} = \cos\left(n \cdot 10000^{-2i / d_{model}}\right)",
        r"score_{i,\,j} = \frac{(q_i + u) \cdot k_j + (q_i + v) \cdot (W_r R_{i + M - j})}{\sqrt{D}} \qquad j \le i + M",
        r"shifted_{i,\,j} = scores_{i,\,j + L - 1 - i} \qquad j \le i + S - L",
    ):
        assert formula in maths
    check_formulas(reference)


def test_formulas_of_the_docstrings(reference):
    encoding = " ".join(inspect.getdoc(reference.relative_positional_encoding).split())
    assert "Column i is sin(distance * 10000**(-2i / d_model)), column d_model / 2 + i the cosine of the same angle" in encoding
    assert "result[..., i, j] = scores[..., i, j + L - 1 - i] for j <= i + S - L" in inspect.getdoc(reference.relative_shift)
    attention = inspect.getdoc(reference.RelativeMultiHeadAttention)
    assert "score(i, j) = ((q_i + u) . k_j + (q_i + v) . (w_r R_{i + M - j})) / sqrt(D)" in attention
    model = inspect.getdoc(reference.TransformerXL.forward)
    assert "x = sqrt(d_model) * embedding" in model
    assert "logits = x @ embedding.weight^T" in model
    check_formulas(reference)


def check_formulas(reference):
    """Encoding, shift, score and memory, each by the formula that both handout and docstrings give."""
    d_model, L, M = 6, 3, 2
    S = L + M
    table_of_distances = reference.relative_positional_encoding(S, d_model)
    for n in range(S):
        for i in range(d_model // 2):
            angle = n * 10000 ** (-2 * i / d_model)
            assert float(table_of_distances[S - 1 - n, i]) == pytest.approx(math.sin(angle), abs=1e-12)
            assert float(table_of_distances[S - 1 - n, d_model // 2 + i]) == pytest.approx(math.cos(angle), abs=1e-12)
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(L, S, generator=generator, dtype=torch.float64)
    shifted = reference.relative_shift(scores)
    assert all(shifted[i, j] == scores[i, j + L - 1 - i] for i in range(L) for j in range(i + S - L + 1))

    module = reference.RelativeMultiHeadAttention(d_model, 1).to(torch.float64)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    x, memory = (torch.randn(1, n, d_model, generator=generator, dtype=torch.float64) for n in (L, M))
    keys = module.w_k(torch.cat([memory, x], dim=1))[0]
    values = module.w_v(torch.cat([memory, x], dim=1))[0]
    for i in range(L):
        q = module.w_q(x)[0, i]
        seen = range(i + M + 1)
        score = [((q + module.u[0]) @ keys[j] + (q + module.v[0]) @ module.w_r(table_of_distances[S - 1 - (i + M - j)])) / math.sqrt(6) for j in seen]
        expected = module.w_o(torch.stack(score).softmax(0) @ values[: len(seen)])
        torch.testing.assert_close(module(x, memory)[0, i], expected)

    model = reference.TransformerXL(5, d_model, 2, 4, 0, 3).to(torch.float64)  # no layers: what goes in comes out
    token_ids = torch.tensor([[4, 1, 3]])
    expected = math.sqrt(d_model) * model.embedding.weight[token_ids] @ model.embedding.weight.T
    torch.testing.assert_close(model(token_ids)[0], expected)


def test_points_add_up():
    rows = rows_of("What the points are for")
    del rows["points"]
    promised = sum(float(points) * 2 for points in re.findall(r"^\| ([\d.]+) \|", SECTIONS["What the points are for"], re.MULTILINE)) / 2
    tests = [function for name, function in vars(suite).items() if name.startswith("test_")]
    given = sum(mark.args[0] for function in tests for mark in function.pytestmark if mark.name == "points")
    assert promised == given == 20


def test_drawing_code_runs(reference):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    (code,) = re.findall(r"^```python\n(.*?)^```", SECTIONS["Draw it"], re.MULTILINE | re.DOTALL)
    exec(code, {"relative_shift": reference.relative_shift, "TransformerXL": reference.TransformerXL})
    matplotlib.pyplot.close("all")


def test_figures_are_those_of_the_reference(reference, tmp_path):
    for path in draw(tmp_path, reference):
        assert path.read_bytes() == (FOLDER / "figures" / path.name).read_bytes(), f"{path.name} is out of step: draw the figures again"
        assert f"](figures/{path.name})" in README
        assert path.stat().st_size < 100_000
