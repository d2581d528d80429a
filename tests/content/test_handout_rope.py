"""Every number and formula of the handout of 08_rope, computed again."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path

import pytest
import torch

from autograder.authoring.figures.rope import draw
from autograder.authoring.notebooks import split_handout
from autograder.checking.submission import load_module
from autograder.hidden_tests import test_rope as suite

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "assignments" / "08_rope"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SECTIONS = split_handout(README)[1]
EXAMPLE = SECTIONS["A worked example"]


@pytest.fixture(scope="module")
def reference():
    return load_module(REPOSITORY / "reference_solutions" / "rope.py")


def tables(section):
    """The Markdown tables of a section, each a list of rows of cells, the head and the line under it left out."""
    blocks = re.findall(r"(?:^\|.*\n)+", SECTIONS[section] + "\n", re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines()[2:]] for block in blocks]


def vector(cells):
    return torch.tensor([float(cell) for cell in cells], dtype=torch.float64)


def turned(reference, numbers, position, **options):
    return reference.apply_rotary(vector(numbers).unsqueeze(0), torch.tensor([int(position)]), **options)[0].round(decimals=4)


def test_worked_frequencies(reference):
    found = re.findall(r"\$(\d+)\^\{-(\d)/(\d)\} = ([\d.]+)\$", EXAMPLE)
    assert [int(base) ** (-int(over) / int(under)) for base, over, under, _ in found] == [float(result) for *_, result in found]
    assert reference.rotary_frequencies(4).tolist() == pytest.approx([float(result) for *_, result in found])


def test_worked_angles():
    rows = tables("A worked example")[0]
    assert len(rows) == 4
    for position, *cells in rows:
        for frequency, (angle, cos, sin) in zip((1.0, 0.01), (cells[:3], cells[3:]), strict=True):
            assert float(angle) == pytest.approx(int(position) * frequency)
            assert (float(cos), float(sin)) == (round(math.cos(float(angle)), 4), round(math.sin(float(angle)), 4))


@pytest.mark.parametrize(("number", "layout"), [(1, "interleaved"), (2, "half")])
def test_worked_layouts(reference, number, layout):
    rows = tables("A worked example")[number]
    assert len(rows) == 4
    for position, *cells in rows:
        assert torch.equal(turned(reference, "1234", position, layout=layout), vector(cells))


def test_worked_pairs_in_words(reference):
    found = re.findall(r"At position 1 the first becomes \((.*?), (.*?)\) = \((.*?), (.*?)\)", EXAMPLE.replace("−", "-").replace("·", "*"))
    assert len(found) == 2
    for first, second, x, y in found:
        assert (eval(first), eval(second)) == pytest.approx((float(x), float(y)), abs=1e-3)
        assert f"| {x} |" in EXAMPLE
        assert f"| {y} |" in EXAMPLE


def test_worked_partial_rotation(reference):
    (_, *x), (_, *result) = tables("A worked example")[3]
    assert torch.equal(turned(reference, x, 3, layout="half", rotary_dim=4), vector(result))


def test_worked_scores(reference):
    query, key = (re.findall(r"-?\d", re.search(rf"{name} (?:is )?\((.*?)\)", EXAMPLE).group(1)) for name in ("query", "the key"))
    rows = tables("A worked example")[4]
    assert len(rows) == 4
    for at, other, turned_query, turned_key, score in rows:
        assert torch.equal(turned(reference, query, at), vector(turned_query.split(",")))
        assert torch.equal(turned(reference, key, other), vector(turned_key.split(",")))
        positions = torch.tensor([int(at), int(other)])
        q, k = reference.apply_rotary(torch.stack([vector(query), vector(key)]), positions)
        assert round(float(q @ k), 4) == float(score)


def test_formulas_of_the_maths_section(reference):
    maths = SECTIONS["The maths"]
    assert r"\theta_i = base^{-2i/D}" in maths
    matrix = re.search(r"\\begin\{pmatrix\} (\\cos.*?) \\end", maths).group(1)
    entries = [entry.strip() for line in matrix.split(r"\\") for entry in line.split("&")]
    functions = {r"\cos m\theta_i": math.cos, r"-\sin m\theta_i": lambda t: -math.sin(t), r"\sin m\theta_i": math.sin}
    m, base, D = 5, 50.0, 6
    a, b = vector("25").tolist()
    for i in range(D // 2):
        p, q, r, s = (functions[entry](m * base ** (-2 * i / D)) for entry in entries)
        x = torch.zeros(1, D, dtype=torch.float64)
        x[0, 2 * i], x[0, 2 * i + 1] = a, b
        result = reference.apply_rotary(x, torch.tensor([m]), base)[0]
        assert result[2 * i : 2 * i + 2].tolist() == pytest.approx([p * a + q * b, r * a + s * b])
    eye = torch.eye(D, dtype=torch.float64)

    def rotation(position):
        return reference.apply_rotary(eye, torch.full((D,), position)).T

    torch.testing.assert_close(rotation(3) @ rotation(8), rotation(11))
    torch.testing.assert_close(rotation(3).T, rotation(-3))
    torch.testing.assert_close(rotation(3).T @ rotation(8), rotation(5))


@torch.no_grad()
def test_attention_of_the_maths_section_and_the_docstring(reference):
    torch.manual_seed(0)
    module = reference.RotaryMultiHeadAttention(8, 2).double()
    x, positions = torch.randn(1, 5, 8, dtype=torch.float64), torch.tensor([4, 0, 9, 2, 2])
    heads = []
    for h in range(2):
        q, k, v = (layer(x[0])[:, 4 * h : 4 * h + 4] for layer in (module.w_q, module.w_k, module.w_v))
        scores = [[float(q[i] @ reference.apply_rotary(k[j : j + 1], positions[j] - positions[i])[0]) / 2 for j in range(5)] for i in range(5)]
        heads.append(torch.tensor(scores, dtype=torch.float64).softmax(-1) @ v)
    torch.testing.assert_close(module(x, positions)[0], module.w_o(torch.cat(heads, -1)))
    assert "(R_i q_i) . (R_j k_j) / sqrt(D) = q_i . (R_{j - i} k_j) / sqrt(D)" in inspect.getdoc(reference.RotaryMultiHeadAttention)


def test_formulas_of_the_docstrings(reference):
    (formula,) = re.findall(r"frequency (base\*\*\(.*?\))", inspect.getdoc(reference.rotary_frequencies))
    expected = [eval(formula.replace("2i", "2 * i"), {"base": 50.0, "head_dim": 6, "i": i}) for i in range(3)]
    assert reference.rotary_frequencies(6, 50.0).tolist() == pytest.approx(expected)
    text = inspect.getdoc(reference.apply_rotary)
    first, second = re.search(r"becomes \((.*\)), (.*\))\) with", text).groups()
    angle = re.search(r"angle = (\S+ \* \S+\(.*?\))", text).group(1)
    pairs = dict(re.findall(r'"(\w+)" pairs features \((.*?)\)(?=[,.])', text))
    assert list(pairs) == ["interleaved", "half"]
    x, rotary_dim = torch.arange(1.0, 9.0, dtype=torch.float64), 6
    for layout, places in pairs.items():
        result = reference.apply_rotary(x.unsqueeze(0), torch.tensor([7]), 50.0, layout, rotary_dim)[0]
        for i in range(rotary_dim // 2):
            names = {"i": i, "rotary_dim": rotary_dim, "position": 7, "base": 50.0}
            one, other = (int(place) for place in eval(places.replace("2i", "2 * i"), names))
            names |= {"a": float(x[one]), "b": float(x[other]), "angle": eval(angle.replace("2i", "2 * i"), names), "cos": math.cos, "sin": math.sin}
            spelled = [re.sub(r"([ab]) (cos|sin)", r"\1 * \2", term) for term in (first, second)]
            assert [float(result[one]), float(result[other])] == pytest.approx([eval(term, names) for term in spelled])
        assert torch.equal(result[rotary_dim:], x[rotary_dim:])


def test_points_add_up():
    groups = tables("What the points are for")[0]
    tests = [mark.args[0] for test in vars(suite).values() for mark in getattr(test, "pytestmark", []) if mark.name == "points"]
    assert sum(float(points) for points, _ in groups) == sum(tests) == 20


def test_drawing_shows_scores_of_both_layouts_and_of_each_base(reference):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    (code,) = re.findall(r"^```python\n(.*?)^```", SECTIONS["Draw it"], re.MULTILINE | re.DOTALL)
    names = {"apply_rotary": reference.apply_rotary}
    exec(code, names)
    vectors, positions = torch.randn(9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), torch.arange(9) + 5
    *maps, curves = names["draw_rotary"](vectors, positions, bases=(50.0, 2000.0)).axes[:3]
    for axes, layout in zip(maps, ("interleaved", "half"), strict=True):
        turned = reference.apply_rotary(vectors, positions, layout=layout)
        torch.testing.assert_close(torch.from_numpy(axes.images[0].get_array().data), turned @ turned.T)
    for line, base in zip(curves.lines, (50.0, 2000.0), strict=True):
        turned = reference.apply_rotary(vectors, positions, base)
        torch.testing.assert_close(torch.from_numpy(line.get_ydata()), turned @ turned[0])
    matplotlib.pyplot.close("all")


def test_figures_are_those_of_the_reference(reference, tmp_path):
    for path in draw(tmp_path, reference):
        assert path.read_bytes() == (FOLDER / "figures" / path.name).read_bytes(), f"{path.name} is out of step: draw the figures again"
        assert f"](figures/{path.name})" in README
        assert path.stat().st_size < 100_000
