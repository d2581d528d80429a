"""Each moment of a grading is counted in one step."""

from __future__ import annotations

import pytest

from autograder.bench.breakdown import Stopwatch


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("autograder.bench.breakdown.time.perf_counter", clock)
    return clock


def test_time_counts_for_the_innermost_step(clock: Clock) -> None:
    watch = Stopwatch()
    with watch.step("wire"):
        clock.now += 1
        with watch.step("worker"):
            clock.now += 10
        clock.now += 2
    clock.now += 100
    watch.reset()
    assert dict(watch.wall) == {}
    with watch.step("wire"):
        clock.now += 1
        with watch.step("worker"):
            clock.now += 10
        clock.now += 2
    assert watch.wall == {"rest": 0.0, "wire": 3.0, "worker": 10.0}


def test_a_replay_is_one_step_whatever_it_is_made_of(clock: Clock) -> None:
    watch = Stopwatch()
    with watch.step("diagnosis"):
        with watch.step("protocol"), watch.step("checks"):
            clock.now += 5
    with watch.step("checks"):
        clock.now += 1
    assert (watch.wall["diagnosis"], watch.wall["checks"], watch.wall["protocol"]) == (5.0, 1.0, 0.0)
