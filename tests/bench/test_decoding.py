"""What is measured of decoding with and without caches, and how it is laid out. Nothing about how long it takes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from autograder.bench import decoding
from autograder.bench.decoding import DecodingCost, measure_decoding, table

COSTS = [DecodingCost(16, 0.002, 0.004, 2_000_000, 30_000_000), DecodingCost(1024, 0.003, 0.06, 2_500_000, 1_500_000_000)]


def test_ratios() -> None:
    assert (COSTS[1].speedup, COSTS[1].operations_saved) == (pytest.approx(20), 600)


def test_a_cost_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        COSTS[0].length = 1  # type: ignore[misc]


def test_a_line_for_each_cost() -> None:
    heads, lines = table(COSTS)
    assert lines[1] == ("1,024", "3.00", "1.5", "60.00", "15.0", "20.0", "2.50", "1500.0", "600")
    assert [len(line) for line in lines] == [len(heads)] * 2


def test_nothing_measured_is_an_empty_table() -> None:
    assert table([])[1] == []


def test_each_length_is_measured() -> None:
    costs = measure_decoding(lengths=(3, 9), repetitions=1)
    assert [cost.length for cost in costs] == [3, 9]
    assert all(seconds > 0 for cost in costs for seconds in (cost.cached_seconds, cost.uncached_seconds))


def test_operations_are_those_of_the_formula() -> None:
    """L (8 E² + 4 E d_ff) + 4 L S E for each layer, and 2 L E V for the head."""
    E, d_ff, V, layers = decoding.D_MODEL, decoding.D_FF, decoding.VOCAB_SIZE, decoding.NUM_LAYERS

    def operations(new: int, keys: int) -> int:
        return layers * (new * (8 * E**2 + 4 * E * d_ff) + 4 * new * keys * E) + 2 * new * E * V

    for cost in measure_decoding(lengths=(3, 9), repetitions=1):
        assert cost.cached_operations == operations(1, cost.length + 1)
        assert cost.uncached_operations == operations(cost.length + 1, cost.length + 1)
