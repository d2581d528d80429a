"""What is printed and written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from autograder.bench.__main__ import GRADERS
from autograder.bench.figures import Record, Sample
from autograder.bench.pages import write_docs
from autograder.bench.plan import Results
from autograder.bench.process_tree import Usage
from autograder.bench.tables import agreement, aims, main_table, markdown, scaling_table

GIVEN = {"student0001": {"test_a": 1.0, "test_b": 2.0}}


def record(key: str, seconds: float, points: dict[str, dict[str, float]] = GIVEN, problem: str = "") -> Record:
    return Record(key, f"tool {key}, 1 job", [Sample(10, Usage(10 * seconds, 10 * seconds, 2**20, None, 0), points)], problem)


def test_ratios_are_to_this_grader() -> None:
    _, lines = main_table([record("isolated-1", 0.1), record("nbgrader", 20.0)])
    assert lines[0][4] == "1.00"
    assert lines[1][4] == "200"


def test_a_tool_without_figures_keeps_its_line() -> None:
    heads, lines = main_table([record("isolated-1", 0.1), Record("otter", "otter run", problem="not installed: no network")])
    assert lines[1] == ("otter run", "not measured", *[""] * (len(heads) - 2))


def test_a_larger_class_that_took_less_gives_no_figure() -> None:
    runs = [Sample(size, Usage(wall, wall, 2**20, None, 0), {}) for size, wall in ((10, 9.0), (20, 8.0))]
    _, lines = main_table([Record("isolated-1", "ours", runs)])
    assert lines[0][3] == "?"


def test_the_same_points_are_confirmed() -> None:
    assert agreement([record("isolated-1", 0.1), record("nbgrader", 1.0)]) == [
        "tool nbgrader, 1 job: the same points in every test of 1 submissions."
    ]


def test_other_points_are_told_with_the_likely_cause() -> None:
    (sentence,) = agreement([record("isolated-1", 0.1), record("nbgrader", 1.0, {"student0001": {"test_a": 0.0, "test_b": 2.0}})])
    assert "student0001 (reference) has 2 points there and 3 here, from test_a; a test cell that writes to stderr" in sentence


def test_points_of_no_grader_are_compared_with_nothing() -> None:
    assert agreement([Record("isolated-1", "ours"), record("nbgrader", 1.0)]) == ["Points were not compared: this grader was not measured."]


def test_aims_are_held_against_what_was_reached() -> None:
    sentences = aims([record("isolated-1", 0.1), record("nbgrader", 20.0), record("warm", 0.08)])
    assert "200× with 1 job (aim: 100×)" in sentences[0]
    assert "1.25× (aim: at most 1.3×)" in sentences[1]


def test_each_size_of_class_has_a_line() -> None:
    runs = [Sample(size, Usage(size * 0.5, size * 0.25, 2**20, 2**21, 0), {}) for size in (20, 100)]
    _, lines = scaling_table(Record("isolated-2", "ours", runs))
    assert lines == [("20", "10.0", "0.500", "0.250", "1", "2", "0"), ("100", "50.0", "0.500", "0.250", "1", "2", "0")]


def test_the_page_gets_the_new_tables_in_place_of_the_old(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured -->\nold\n<!-- end of measured -->\nafter\n")
    text = markdown(Results({"isolated-1": record("isolated-1", 0.1)}), {"python": "3.13"}, ["a note"])
    write_docs(page, GRADERS, text, datetime(2026, 1, 2, tzinfo=UTC))
    written = page.read_text()
    assert written.startswith("before\n<!-- measured -->\n\nMeasured on 2026-01-02.\n")
    assert written.endswith("<!-- end of measured -->\nafter\n")
    assert "old" not in written
    assert "- a note" in written


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("mine\n")
    with pytest.raises(SystemExit, match="lacks the line"):
        write_docs(page, GRADERS, "figures", datetime(2026, 1, 2, tzinfo=UTC))
    assert page.read_text() == "mine\n"
