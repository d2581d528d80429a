"""What a run of a large class says about load: pure functions over what each grading took."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Grading:
    """Times are in seconds of one clock. `source` is the same for files that differ in a comment only."""

    kind: str
    source: tuple[str, str]
    ended: float
    seconds: float
    cpu_seconds: float = 0.0
    score: float = 0.0
    max_score: float = 0.0

    @property
    def began(self) -> float:
        return self.ended - self.seconds


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def share_beside_loops(gradings: Sequence[Grading]) -> list[tuple[Grading, float]]:
    """Of each grading that ends, the part of its time in which another one that never ends was being graded."""
    spans = _united([(grading.began, grading.ended) for grading in gradings if grading.kind == "loop"])
    return [(grading, _covered(spans, grading.began, grading.ended)) for grading in gradings if grading.kind != "loop" and grading.seconds > 0]


@dataclass(frozen=True)
class Slowdown:
    """`ratio`: time of a file beside an endless loop over that of the same source without one, the median of `sources` sources."""

    ratio: float
    sources: int
    beside: int
    apart: int


def slowdown(gradings: Sequence[Grading]) -> Slowdown | None:
    """None where no source was graded both beside loops (nine tenths of its time or more) and apart from them (a tenth or less)."""
    beside: dict[tuple[str, str], list[float]] = defaultdict(list)
    apart: dict[tuple[str, str], list[float]] = defaultdict(list)
    for grading, share in share_beside_loops(gradings):
        if share >= 0.9:
            beside[grading.source].append(grading.seconds)
        elif share <= 0.1:
            apart[grading.source].append(grading.seconds)
    both = beside.keys() & apart.keys()
    if not both:
        return None
    ratios = [median(beside[source]) / median(apart[source]) for source in both]
    return Slowdown(median(ratios), len(both), sum(len(beside[source]) for source in both), sum(len(apart[source]) for source in both))


@dataclass(frozen=True)
class Account:
    """Where the wall clock of a run with `jobs` jobs went. least: all gradings' seconds over the jobs, what a run cannot go below."""

    wall_seconds: float
    loop_seconds: float
    other_seconds: float
    jobs: int

    @property
    def least_seconds(self) -> float:
        return (self.loop_seconds + self.other_seconds) / self.jobs

    @property
    def ratio(self) -> float:
        return self.wall_seconds / self.least_seconds if self.least_seconds else math.nan


def account_of(gradings: Sequence[Grading], wall_seconds: float, jobs: int) -> Account:
    loops = sum(grading.seconds for grading in gradings if grading.kind == "loop")
    return Account(wall_seconds, loops, sum(grading.seconds for grading in gradings) - loops, jobs)


def _united(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def _covered(spans: list[tuple[float, float]], begin: float, end: float) -> float:
    first = bisect_left([span[1] for span in spans], begin)
    last = bisect_right([span[0] for span in spans], end)
    covered = sum(max(0.0, min(end, upper) - max(begin, lower)) for lower, upper in spans[first:last])
    return covered / (end - begin)
