"""What is measured of attention in tiles, and how it is laid out. Nothing about how long it takes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from autograder.bench import flash
from autograder.bench.flash import FlashCost, measure_flash, table

COST = FlashCost(16_384, 256, 128, tiled_seconds=3.0, fused_seconds=2.0, naive_seconds=4.0, tiled_bytes=2**20, fused_bytes=2**21, naive_bytes=2**27)


def test_ratios() -> None:
    assert (COST.time_against_fused, COST.time_against_naive, COST.memory_of_naive) == (1.5, 0.75, 128)


def test_a_cost_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        COST.length = 1  # type: ignore[misc]


def test_a_line_for_each_cost() -> None:
    heads, lines = table([COST, COST])
    assert lines[0] == ("16,384", "256 × 128", "3.000", "1.50", "0.75", "1.0", "2.0", "128.0", "128")
    assert len(lines) == 2
    assert len(heads) == len(lines[0])


def test_nothing_measured_is_an_empty_table() -> None:
    assert table([])[1] == []


def test_each_length_and_tile_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash, "_extra_bytes", lambda form, tile, length: length)
    costs = measure_flash(lengths=(64, 128), blocks=((32, 32), (16, 64)), repetitions=1)
    assert [(cost.length, cost.block_q, cost.block_k) for cost in costs] == [(64, 32, 32), (64, 16, 64), (128, 32, 32), (128, 16, 64)]
    assert all(seconds > 0 for cost in costs for seconds in (cost.tiled_seconds, cost.fused_seconds, cost.naive_seconds))
    assert [cost.tiled_bytes for cost in costs] == [64, 64, 128, 128]
    assert costs[0].naive_seconds == costs[1].naive_seconds  # the others are measured once for each length


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    tiled, naive = (flash._extra_bytes(form, tile, 2048) for form, tile in ((flash.TILED, (64, 64)), (flash.NAIVE, None)))
    assert 0 <= tiled < 2048 * 2048 * 4 <= naive
