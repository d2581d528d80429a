"""What was measured, and what follows from it: pure functions over samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from autograder.bench.process_tree import Usage

POINTS_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Sample:
    """One run of a tool over `size` submissions, and the points that it gave each student for each test."""

    size: int
    usage: Usage
    points: dict[str, dict[str, float]]


@dataclass
class Record:
    """All samples of one tool, or the reason why there is none."""

    key: str
    title: str
    samples: list[Sample] = field(default_factory=list)
    problem: str = ""

    def of_size(self, size: int) -> list[Sample]:
        return [sample for sample in self.samples if sample.size == size]

    @property
    def sizes(self) -> list[int]:
        return sorted({sample.size for sample in self.samples})


@dataclass(frozen=True)
class Row:
    """One tool in the table. Steady figures leave the start of the tool out: the difference of a large and a small class."""

    key: str
    title: str
    size: int
    wall_seconds: float
    steady_wall_seconds: float
    cpu_seconds: float
    steady_cpu_seconds: float
    largest_process_bytes: int
    tree_bytes: int | None


def row_of(record: Record) -> Row | None:
    """Medians over the runs; per submission. None where nothing was measured."""
    if not record.samples:
        return None
    small, large = record.sizes[0], record.sizes[-1]
    wall = {size: median(sample.usage.wall_seconds for sample in record.of_size(size)) for size in (small, large)}
    cpu = {size: median(sample.usage.cpu_seconds for sample in record.of_size(size)) for size in (small, large)}
    trees = [sample.usage.tree_bytes for sample in record.samples if sample.usage.tree_bytes is not None]
    return Row(
        key=record.key,
        title=record.title,
        size=large,
        wall_seconds=wall[large] / large,
        steady_wall_seconds=_slope(wall, small, large),
        cpu_seconds=cpu[large] / large,
        steady_cpu_seconds=_slope(cpu, small, large),
        largest_process_bytes=max(sample.usage.largest_process_bytes for sample in record.samples),
        tree_bytes=max(trees) if trees else None,
    )


def _slope(of_size: dict[int, float], small: int, large: int) -> float:
    return (of_size[large] - of_size[small]) / (large - small) if large > small else of_size[large] / large


@dataclass(frozen=True)
class Difference:
    """A submission that two tools do not agree on."""

    student: str
    kind: str
    tests: tuple[str, ...]
    ours: float
    theirs: float


def differences(ours: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]], kinds: dict[str, str]) -> list[Difference]:
    """Submissions that both graded and whose points differ in a test; empty when the checks are the same."""
    found = []
    for student in sorted(ours.keys() & theirs.keys()):
        mine, other = ours[student], theirs[student]
        tests = tuple(test for test in mine if abs(mine[test] - other.get(test, 0.0)) > POINTS_TOLERANCE)
        if tests:
            found.append(Difference(student, kinds.get(student, ""), tests, sum(mine.values()), sum(other.values())))
    return found


def points_of(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Every student that any of the runs graded; students of equal name are the same submission in each class."""
    return {student: points for sample in samples for student, points in sample.points.items()}
