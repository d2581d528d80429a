"""What follows from the measurements."""

from __future__ import annotations

import pytest

from autograder.bench.figures import Record, Sample, differences, row_of
from autograder.bench.process_tree import Usage


def sample(size: int, wall: float, cpu: float = 0.0, memory: int = 0) -> Sample:
    return Sample(size, Usage(wall, cpu, memory, None, 0), {})


def test_the_start_of_a_tool_is_left_out_of_the_steady_figures() -> None:
    row = row_of(Record("x", "X", [sample(20, 7.0, 6.0), sample(100, 15.0, 10.0)]))
    assert row is not None
    assert row.wall_seconds == pytest.approx(0.15)
    assert row.steady_wall_seconds == pytest.approx(0.1)
    assert row.steady_cpu_seconds == pytest.approx(0.05)


def test_one_slow_run_moves_nothing() -> None:
    row = row_of(Record("x", "X", [sample(10, wall) for wall in (1.0, 1.0, 60.0)]))
    assert row is not None
    assert row.wall_seconds == pytest.approx(0.1)


def test_memory_is_the_most_that_was_seen() -> None:
    row = row_of(Record("x", "X", [sample(1, 1.0, memory=5), sample(1, 1.0, memory=7)]))
    assert row is not None
    assert row.largest_process_bytes == 7
    assert row.tree_bytes is None


def test_a_tool_without_a_run_has_no_row() -> None:
    assert row_of(Record("x", "X")) is None


def test_other_points_for_a_test_are_a_difference() -> None:
    found = differences({"ann": {"t": 1.0, "u": 2.0}}, {"ann": {"t": 1.0, "u": 0.0}}, {"ann": "stub"})
    assert [(one.student, one.kind, one.tests, one.ours, one.theirs) for one in found] == [("ann", "stub", ("u",), 3.0, 1.0)]


def test_points_that_add_up_to_the_same_may_differ_all_the_same() -> None:
    assert differences({"ann": {"t": 1.0, "u": 0.0}}, {"ann": {"t": 0.0, "u": 1.0}}, {})


def test_a_submission_that_one_tool_did_not_grade_is_no_difference() -> None:
    assert differences({"ann": {"t": 1.0}, "bob": {"t": 1.0}}, {"ann": {"t": 1.0}}, {}) == []
