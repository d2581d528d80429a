"""Every number and formula of the handout of 02_positional_encoding, computed again."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path

import pytest
import torch

from autograder.authoring.figures.positional_encoding import draw
from autograder.authoring.notebooks import split_handout
from autograder.checking.submission import load_module

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "assignments" / "02_positional_encoding"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SECTIONS = split_handout(README)[1]


@pytest.fixture(scope="module")
def reference():
    return load_module(REPOSITORY / "reference_solutions" / "positional_encoding.py")


def tables(section):
    """The Markdown tables of a section, each a list of rows of cells, the line under the head left out."""
    blocks = re.findall(r"(?:^\|.*\n)+", SECTIONS[section] + "\n", re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines() if not re.fullmatch(r"[|\- ]+", line)]
        for block in blocks
    ]


def numbers(cells):
    return torch.tensor([float(cell) for cell in cells], dtype=torch.float64)


def test_worked_table_of_four_columns(reference):
    _, *rows = tables("A worked example")[0]
    computed = reference.sinusoidal_encoding(3, 4)
    assert len(rows) == 3
    for position, angle_0, angle_1, *entries in rows:
        assert numbers([angle_0, angle_1]).tolist() == [int(position) * 1.0, int(position) * 0.01]
        assert torch.equal(computed[int(position)].round(decimals=4), numbers(entries))


def test_worked_table_of_three_columns(reference):
    _, *rows = tables("A worked example")[1]
    assert len(rows) == 3
    for position, *entries in rows:
        assert torch.equal(reference.sinusoidal_encoding(3, 3)[int(position)].round(decimals=4), numbers(entries))


def test_worked_powers():
    found = re.findall(r"\$(\d+)\^\{-(\d)/(\d)\} = ([\d.]+)\$", SECTIONS["A worked example"])
    assert len(found) == 3
    for base, over, under, result in found:
        assert round(int(base) ** (-int(over) / int(under)), 6) == float(result)


def test_worked_module(reference):
    (x, row, total), (result,) = [[numbers(row[1:]) for row in table] for table in tables("A worked example")[2:4]]
    assert torch.equal(reference.sinusoidal_encoding(3, 4)[2].round(decimals=4), row)
    encoded = reference.PositionalEncoding(4)(x.view(1, 1, 4), start=2)[0, 0]
    assert torch.equal(encoded.round(decimals=4), total)
    kept = torch.tensor([True, False, False, True])
    torch.testing.assert_close((total / (1 - 0.5)).where(kept, 0.0), result)


def test_formulas_of_the_maths_section(reference):
    """The two formulas, the rotation and the inner product, read off the handout's LaTeX where they can be, and computed."""
    maths = SECTIONS["The maths"]
    assert r"\sin\left(pos \cdot base^{-2i / d_{model}}\right)" in maths
    assert r"\cos\left(pos \cdot base^{-2i / d_{model}}\right)" in maths
    table = reference.sinusoidal_encoding(11, 6, 50.0)
    for pos in range(11):
        for i in range(3):
            angle = pos * 50.0 ** (-2 * i / 6)
            assert table[pos, 2 * i] == pytest.approx(math.sin(angle), abs=1e-12)
            assert table[pos, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-12)
    pos, k, i = 3, 5, 1
    turn = k * 50.0 ** (-2 * i / 6)
    rotation = torch.tensor([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]], dtype=torch.float64)
    torch.testing.assert_close(rotation @ table[pos, 2:4], table[pos + k, 2:4])
    assert float(table[pos] @ table[pos + k]) == pytest.approx(sum(math.cos(k * 50.0 ** (-2 * i / 6)) for i in range(3)))


def test_formulas_of_the_docstring(reference):
    text = " ".join(inspect.getdoc(reference.sinusoidal_encoding).split())
    found = re.findall(r"PE\[pos, (2i(?: \+ 1)?)\] = ((?:sin|cos)\(.*?\)\))", text)
    assert [column for column, _ in found] == ["2i", "2i + 1"]
    table = reference.sinusoidal_encoding(5, 7, 100.0)
    for column, formula in found:
        for i in range(3):
            for pos in range(5):
                names = {"sin": math.sin, "cos": math.cos, "pos": pos, "base": 100.0, "d_model": 7, "i": i}
                expected = eval(formula.replace("2i", "2 * i"), names)
                assert table[pos, eval(column.replace("2i", "2 * i"), names)] == pytest.approx(expected, abs=1e-12)


def test_points_add_up():
    _, *groups = tables("What the points are for")[0]
    assert sum(float(points) for points, _ in groups) == 20


def test_drawing_shows_the_table_its_waves_and_its_inner_products(reference):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    (code,) = re.findall(r"^```python\n(.*?)^```", SECTIONS["Draw it"], re.MULTILINE | re.DOTALL)
    names = {"sinusoidal_encoding": reference.sinusoidal_encoding}
    exec(code, names)
    table = reference.sinusoidal_encoding(20, 12)
    left, middle, right = names["draw_positional_encoding"](table).axes[:3]
    assert torch.equal(torch.from_numpy(left.images[0].get_array().data), table)
    for line, column in zip(middle.lines, (0, 4, 8), strict=True):
        assert torch.equal(torch.from_numpy(line.get_ydata()), table[:, column])
    torch.testing.assert_close(torch.from_numpy(right.images[0].get_array().data), table @ table.T)
    matplotlib.pyplot.close("all")


def test_figures_are_those_of_the_reference(reference, tmp_path):
    for path in draw(tmp_path, reference):
        assert path.read_bytes() == (FOLDER / "figures" / path.name).read_bytes(), f"{path.name} is out of step: draw the figures again"
        assert f"](figures/{path.name})" in README
        assert path.stat().st_size < 100_000
