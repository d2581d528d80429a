"""The handout of 06 tells the truth: its numbers, its formulas, its points and its drawing."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import ModuleType

import matplotlib as mpl
import pytest
import torch

from autograder.authoring.figures import transformer as figures
from autograder.authoring.notebooks import split_handout
from autograder.checking import given
from autograder.checking.submission import load_module
from autograder.hidden_tests import test_transformer as suite

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "assignments" / "06_transformer"
HANDOUT = (FOLDER / "README.md").read_text(encoding="utf-8")
SECTIONS = split_handout(HANDOUT)[1]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return load_module(REPOSITORY / "reference_solutions" / "transformer.py")


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


def rounded(tensor):
    return (torch.round(tensor.detach(), decimals=4) + 0.0).tolist()


def test_input_of_the_example(reference, example):
    model = reference.Transformer(8, 8, d_model=4, num_heads=1, num_layers=0, d_ff=4, dropout=0.0).to(torch.float64)
    table = torch.zeros(8, 4, dtype=torch.float64)
    for token in (5, 0, 7):
        table[token] = example[f"embedding of id {token}"]
    model.load_state_dict({"src_embedding.weight": table, "tgt_embedding.weight": table, "output.weight": table})
    positions = reference.sinusoidal_encoding(3, 4)
    assert [rounded(positions[i]) for i in range(3)] == [example[f"position {i}"].tolist() for i in range(3)]
    assert f"{positions[1, 3].item():.5f}" == "0.99995"
    entering = model.encode(torch.tensor([[5, 0, 7]]))[0]
    assert [rounded(row) for row in entering] == [example[f"enters, row {i}"].tolist() for i in range(3)]
    sums = [math.sqrt(4) * example[f"embedding of id {token}"] + positions[i] for i, token in enumerate((5, 0, 7))]
    torch.testing.assert_close(entering, torch.stack(sums))


def test_shift_of_the_example(reference):
    told = re.search(r"With bos = (\d), the targets ([\d, ]+) become ([\d, ]+)\.", SECTIONS["A worked example"])
    before, after = (torch.tensor([[int(token) for token in told[group].split(",")]]) for group in (2, 3))
    assert torch.equal(reference.shift_right(before, int(told[1])), after)


def test_loss_of_the_example(reference, example):
    logits = torch.stack([example[f"logits {i}"] for i in range(3)]).unsqueeze(0)
    for i in range(2):
        assert rounded(logits[0, i].log_softmax(-1)) == example[f"log p {i}"].tolist()
    losses = [reference.label_smoothed_loss(logits[:, i : i + 1], torch.tensor([[target]])).item() for i, target in ((0, 1), (1, 3))]
    mean = reference.label_smoothed_loss(logits, torch.tensor([[1, 3, 0]])).item()
    assert [f"{loss:.4f}" for loss in (*losses, mean)] == ["1.4902", "0.3642", "0.9272"]
    text = SECTIONS["A worked example"]
    assert "(1.4902 + 0.3642) / 2 = 0.9272" in text
    assert math.isclose(0.925 * 1.4402 + 0.025 * (0.4402 + 2.4402 + 3.4402), 1.4902, abs_tol=1e-4)
    assert math.isclose(0.925 * 0.1392 + 0.025 * 3 * 3.1392, 0.3642, abs_tol=1e-4)
    for arithmetic in ("0.925 · 1.4402 + 0.025 · (0.4402 + 2.4402 + 3.4402) = 1.4902", "0.925 · 0.1392 + 0.025 · 3 · 3.1392 = 0.3642"):
        assert arithmetic in text


def test_formula_of_the_loss(reference):
    generator = torch.Generator().manual_seed(2)
    logits, target, smoothing = torch.randn(7, generator=generator, dtype=torch.float64), 4, 0.3
    q = torch.tensor([(1 - smoothing) * (k == target) + smoothing / 7 for k in range(7)], dtype=torch.float64)
    expected = -(q * logits.log_softmax(-1)).sum()
    torch.testing.assert_close(reference.label_smoothed_loss(logits.view(1, 1, 7), torch.tensor([[target]]), smoothing), expected)
    assert "(1 - smoothing) [k = target] + smoothing / V" in reference.label_smoothed_loss.__doc__


def test_lowest_loss_is_at_q():
    """What the text says about the right figure, and about the loss of the drawing."""
    assert f"{math.log((0.9 + 0.01) / 0.01):.2f}" == "4.51"
    entropy = -(0.9 + 0.1 / 13) * math.log(0.9 + 0.1 / 13) - 12 * (0.1 / 13) * math.log(0.1 / 13)
    assert f"its lowest value is the entropy of q, {entropy:.2f}" in SECTIONS["Draw it"]
    assert "4.51 above the others" in SECTIONS["The maths"]


def test_learning_rates_of_the_example(reference, example):
    for step in (0, 1, 2000, 4000, 16000, 100000):
        rate = reference.noam_learning_rate(step, 512, 4000)
        assert f"{rate:.7f}" == f"{example[str(step)].item():.7f}"
        if step:
            assert math.isclose(rate, 512**-0.5 * min(step**-0.5, step * 4000**-1.5))
    assert "d_model^-0.5 * min(step^-0.5, step * warmup^-1.5)" in reference.noam_learning_rate.__doc__


def test_decoding_of_the_example(reference, example):
    texts = torch.tensor([[5, 6, 2, 9], [7, 0, 9, 2]])
    expected = torch.stack([example["answer 0"], example["answer 1"]]).long()
    seen = given.decode_script(reference, texts, 0, 1, 2, 20)
    assert torch.equal(seen["ids"], expected)
    assert (seen["encoded"], seen["decoded"]) == (1, 4)


def test_sizes_of_the_example(reference, example):
    for column, (E, heads, F) in enumerate(((512, 8, 2048), (1024, 16, 4096))):
        attention, feed_forward, norm = 4 * E * E + 4 * E, 2 * E * F + F + E, 2 * E
        encoder_layer = attention + feed_forward + 2 * norm
        told = [int(example[row][column]) for row in ("the shared matrix, 37000 · E", "six encoder layers", "six decoder layers", "all parameters")]
        assert told[:3] == [37_000 * E, 6 * encoder_layer, 6 * (encoder_layer + attention + norm)]
        assert told[3] == sum(told[:3]) == given.parameter_count(reference, "Transformer", 37_000, 37_000, E, heads, 6, F, tie_weights=True)


def test_points_add_up_and_are_those_of_the_suite():
    told = sum(float(points) for points in re.findall(r"^\| ([\d.]+) \|", SECTIONS["What the points are for"], re.MULTILINE))
    tests = [value for name, value in vars(suite).items() if name.startswith("test_")]
    given_points = sum(mark.args[0] for test in tests for mark in test.pytestmark if mark.name == "points")
    assert told == given_points == 20


@pytest.fixture(scope="module")
def drawing() -> str:
    (code,) = re.findall(r"^```python\n(.*?)^```", SECTIONS["Draw it"], re.MULTILINE | re.DOTALL)
    return code


def test_drawing_learns_to_reverse(reference, drawing, monkeypatch):
    mpl.use("Agg")
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    drawn = dict(vars(reference))
    exec(drawing, drawn)
    assert drawn["share"] >= 0.97
    assert drawn["loss"].item() > 0.53
    (weights,) = drawn["seen"]
    assert weights[0, :6].argmax(dim=-1).tolist() == [5, 4, 3, 2, 1, 0]  # from right to left


def test_without_positions_nothing_is_reversed(reference, drawing, monkeypatch):
    mpl.use("Agg")
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    table = reference.sinusoidal_encoding
    monkeypatch.setattr(reference, "sinusoidal_encoding", lambda length, d_model: 0 * table(length, d_model))
    drawn = dict(vars(reference))
    exec(drawing, drawn)
    assert drawn["loss"].item() < 1.5  # it learns something
    assert drawn["share"] < 0.2


def test_who_sees_whom(reference):
    """The caption of the first figure."""
    encoder, decoder, memory = figures.who_sees_whom(reference)
    assert encoder == memory == [[1, 1, 1, 0, 0]] * 5
    assert decoder == [[int(j <= i and j < 4) for j in range(5)] for i in range(5)]


def test_figures_are_in_step_with_the_reference(reference, tmp_path):
    for path in figures.draw(tmp_path, reference):
        assert path.read_bytes() == (FOLDER / "figures" / path.name).read_bytes()
        assert f"figures/{path.name}" in HANDOUT
