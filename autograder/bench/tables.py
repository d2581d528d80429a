"""What the benchmark prints and writes: pure functions over what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from autograder.bench.breakdown import STEPS
from autograder.bench.figures import Record, Row, differences, points_of, row_of
from autograder.bench.plan import Results
from autograder.bench.population import MIX, make_class

OURS, FLOOR = "isolated-1", "warm"
MEANING = (
    "n: submissions. s: seconds of wall clock for each, starts included. *: starts left out, as the difference of a large and a small class. "
    "×: as a multiple of this grader's with one job. CPU: of the whole tree of processes. MiB one: the largest process. MiB all: all of them at "
    "once, a shared page counted once."
)
Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

# What to think of first when a tool gives other points.
_CAUSES = {
    "nbgrader": "a test cell that writes to stderr scores 0 there, and one that never ends is an error",
    "otter": "a submission that raises while it is loaded leaves the definitions before it in place there",
    "pytest": "it draws the inputs from another seed",
    "warm": "a submission can change what the next one meets there",
}


def main_table(records: Sequence[Record]) -> Table:
    """One line for each tool, its figures beside those of this grader with one job; see MEANING."""
    heads = ("", "n", "s", "s*", "×", "CPU s*", "×", "MiB one", "MiB all")
    rows = {record.key: row_of(record) for record in records}
    ours = rows.get(OURS)
    lines: list[tuple[str, ...]] = []
    for record in records:
        row = rows[record.key]
        if row is None:
            lines.append((record.title, "not measured", *[""] * 7))
            continue
        lines.append(
            (
                record.title,
                str(row.size),
                _seconds(row.wall_seconds),
                _seconds(row.steady_wall_seconds),
                _ratio(row.steady_wall_seconds, ours.steady_wall_seconds if ours else None),
                _seconds(row.steady_cpu_seconds),
                _ratio(row.steady_cpu_seconds, ours.steady_cpu_seconds if ours else None),
                _mebibytes(row.largest_process_bytes),
                _mebibytes(row.tree_bytes) if row.tree_bytes is not None else "?",
            )
        )
    return heads, lines


def scaling_table(record: Record) -> Table:
    """One line for each size of class."""
    lines: list[tuple[str, ...]] = []
    for size in record.sizes:
        runs = [sample.usage for sample in record.of_size(size)]
        trees = [usage.tree_bytes for usage in runs if usage.tree_bytes is not None]
        wall, cpu = median(usage.wall_seconds for usage in runs), median(usage.cpu_seconds for usage in runs)
        memory = (_mebibytes(max(usage.largest_process_bytes for usage in runs)), _mebibytes(max(trees)) if trees else "?")
        lines.append((str(size), f"{wall:.1f}", _seconds(wall / size), _seconds(cpu / size), *memory, str(sum(usage.leftovers for usage in runs))))
    return ("n", "s in all", "s", "CPU s", "MiB one", "MiB all", "left over"), lines


def breakdown_table(measured: dict[str, Any]) -> Table:
    """Milliseconds per submission, of wall clock and of CPU in the grader."""
    lines: list[tuple[str, ...]] = [
        (words, f"{1000 * measured['wall'][step]:.1f}", f"{1000 * measured['cpu'][step]:.1f}") for step, words in STEPS.items()
    ]
    lines.append(("sum", f"{1000 * sum(measured['wall'].values()):.1f}", f"{1000 * sum(measured['cpu'].values()):.1f}"))
    lines.append(("CPU of the workers besides", "", f"{1000 * measured['workers_cpu']:.1f}"))
    return ("step", "wall ms", "CPU ms of the grader"), lines


def agreement(records: Sequence[Record]) -> list[str]:
    """One sentence for each tool: whether it gave each submission the same points for each test."""
    by_key = {record.key: record for record in records}
    ours = points_of(by_key[OURS].samples) if OURS in by_key else {}
    if not ours:
        return ["Points were not compared: this grader was not measured."]
    kinds = {entry.student: entry.kind for entry in make_class(MIX)}
    sentences = []
    for record in records:
        theirs = points_of(record.samples)
        if record.key == OURS or not theirs:
            continue
        found = differences(ours, theirs, kinds)
        both = len(ours.keys() & theirs.keys())
        if not found:
            sentences.append(f"{record.title}: the same points in every test of {both} submissions.")
        for difference in found[:5]:
            cause = _CAUSES.get(record.key, "the grades of this grader are not stable")
            sentences.append(
                f"{record.title}: {difference.student} ({difference.kind}) has {difference.theirs:g} points there and {difference.ours:g} here, "
                f"from {', '.join(difference.tests[:4])}; {cause}."
            )
    return sentences


def aims(records: Sequence[Record]) -> list[str]:
    """What this grader is meant to reach, and what it reached, starts left out."""
    rows = {record.key: row for record in records if (row := row_of(record)) is not None}
    ours, both = rows.get(OURS), rows.get("isolated-2")
    if ours is None:
        return []
    best = min((row for row in (ours, both) if row is not None), key=lambda row: row.steady_wall_seconds)
    sentences = []
    for key, aim in (("nbgrader", 100), ("pytest", 50)):
        if key in rows and best.steady_wall_seconds > 0:
            reached = rows[key].steady_wall_seconds / best.steady_wall_seconds
            sentences.append(f"Throughput against {rows[key].title}: {reached:.0f}× with {best.title.split(', ')[1]} (aim: {aim}×).")
    if FLOOR in rows:
        sentences.append(f"CPU against the same checks without isolation: {_over(ours, rows[FLOOR]):.2f}× (aim: at most 1.3×).")
    return sentences


def markdown(results: Results, machine: dict[str, str], notes: Sequence[str]) -> str:
    """The tables of docs/benchmarks.md."""
    records = list(results.records.values())
    parts = ["\n".join(f"- {name}: {value}" for name, value in machine.items()), markdown_table(main_table(records)), MEANING]
    parts += ["\n".join(f"- {text}" for text in (*aims(records), *agreement(records), *notes))]
    if "isolated-2" in results.records:
        parts += ["### Larger classes, two jobs", markdown_table(scaling_table(results.records["isolated-2"]))]
    if results.breakdown:
        parts += ["### Where the time of one grading goes", markdown_table(breakdown_table(results.breakdown))]
    return "\n\n".join(parts) + "\n"


def markdown_of_parts(parts: Sequence[tuple[str, Table]]) -> str:
    return "\n\n".join(f"### {title}\n\n{markdown_table(table)}" for title, table in parts) + "\n"


def markdown_table(table: Table) -> str:
    heads, lines = table
    rule = "|" + "|".join([" --- "] + [" ---: "] * (len(heads) - 1)) + "|"
    return "\n".join([f"| {' | '.join(heads)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)])


def _over(row: Row, floor: Row) -> float:
    return row.steady_cpu_seconds / floor.steady_cpu_seconds if floor.steady_cpu_seconds > 0 else float("nan")


def _seconds(value: float) -> str:
    if value <= 0:
        return "?"  # the machine was so busy that the larger class took less
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _ratio(value: float, ours: float | None) -> str:
    if not ours or ours <= 0 or value <= 0:
        return "?"
    return f"{value / ours:.2f}" if value / ours < 10 else f"{value / ours:.0f}"


def _mebibytes(value: int) -> str:
    return f"{value / 2**20:.0f}"
