"""Cells that no spreadsheet runs, and that a reader gets back as they were."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.results.spreadsheet import csv_line, is_safe, number, one_line_text, original_text, printable, safe_cell

TEXTS = st.text(st.sampled_from("=+-@;\t\r\n,\"' aé\u200b＝|0"), max_size=12) | st.text(max_size=12)


@pytest.mark.parametrize(
    "formula",
    ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", ' "=1', " '=1", "\u200b=1", "＝1", "Ann\n=1", "Ann;=1", "Ann\t+1", "\ttext", "\rtext"],
)
def test_an_apostrophe_stands_before_a_formula(formula: str) -> None:
    assert not is_safe(formula)
    assert safe_cell(formula) != formula
    assert original_text(safe_cell(formula)) == formula


@pytest.mark.parametrize("text", ["", "Ann", "O'Neil", "Müller, Jörg", "a-b", "ann@b.c", "1 = 1", "D'Arcy; Zoë", "'Ann'"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@given(TEXTS)
def test_the_original_comes_back_through_a_csv_file(text: str) -> None:
    [row] = csv.reader(io.StringIO(csv_line([safe_cell(text), "end"]), newline=""))
    assert [original_text(row[0]), row[1]] == [text, "end"]


@given(TEXTS, st.sampled_from(",;\t"))
def test_no_cell_starts_a_formula_whatever_the_separator(text: str, separator: str) -> None:
    lines = csv_line([safe_cell(one_line_text(text)), safe_cell(printable(text)), number(-1.5)])
    for row in csv.reader(io.StringIO(lines, newline=""), delimiter=separator):
        for cell in row:
            assert not cell.lstrip(" \"'\u200b").startswith(tuple("=+@＝")) or "'" in cell[: cell.find(cell.lstrip(" \"'\u200b")[0])]


def test_numbers_stay_numbers() -> None:
    assert [number(value) for value in (-1.5, 0.0, -0.0, 1e-9, 1 / 3, 20.0, 100.0, 1234567.25)] == [
        "-1.5", "0", "0", "0", "0.333333", "20", "100", "1234567.25",
    ]  # fmt: skip


def test_a_name_is_one_line_and_keeps_its_accents_and_joiners() -> None:
    assert one_line_text("  Zoë\r\nÅ\x00\x1b Łukasz \ud800 می\u200cخواهم") == "Zoë Å Łukasz \ufffd می\u200cخواهم"
