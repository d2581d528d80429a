"""What is concluded from the times of a large class."""

from __future__ import annotations

import math

from autograder.bench.load_figures import Grading, account_of, percentile, share_beside_loops, slowdown


def grading(kind: str, began: float, ended: float, source: str = "a") -> Grading:
    return Grading(kind, ("01_attention", source), ended, ended - began)


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(1, 201)]
    assert [percentile(values, percent) for percent in (50, 95, 99, 100)] == [100, 190, 198, 200]
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7


def test_time_beside_loops_counts_once_where_two_loops_overlap() -> None:
    gradings = [grading("loop", 0, 6), grading("loop", 4, 10), grading("right", 2, 22), grading("stub", 30, 31)]
    assert [share for _, share in share_beside_loops(gradings)] == [0.4, 0.0]


def test_a_source_is_compared_with_itself() -> None:
    loops = [grading("loop", 0, 100)]
    beside = [grading("right", 10, 12), grading("right", 20, 22), grading("wrong", 30, 33, "b"), grading("stub", 40, 90, "only beside")]
    apart = [grading("right", 110, 111), grading("wrong", 120, 123, "b"), grading("stub", 130, 131, "only apart")]
    slower = slowdown(loops + beside + apart)
    assert slower is not None
    assert (slower.ratio, slower.sources, slower.beside, slower.apart) == (1.5, 2, 3, 2)  # twice as long, and as long as before


def test_nothing_is_said_without_a_pair() -> None:
    assert slowdown([grading("loop", 0, 10), grading("right", 2, 3)]) is None
    assert slowdown([grading("right", 2, 3)]) is None


def test_the_least_time_is_all_gradings_over_the_jobs() -> None:
    account = account_of([grading("loop", 0, 10), grading("right", 0, 4), grading("right", 4, 10)], wall_seconds=15, jobs=2)
    assert (account.loop_seconds, account.other_seconds, account.least_seconds, account.ratio) == (10, 10, 10, 1.5)
    assert math.isnan(account_of([], wall_seconds=1, jobs=2).ratio)
