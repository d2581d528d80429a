"""The figures of a large class, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autograder.bench.load_figures import Grading, account_of, percentile, slowdown
from autograder.bench.tables import Table, markdown_table
from autograder.course.course import Limits

if TYPE_CHECKING:
    from autograder.bench.load import Run

_KINDS = {"right": "right", "wrong": "with a known mistake", "stub": "the untouched stub", "broken": "broken files", "loop": "never ending"}
_PERCENTS = (50, 95, 99)


def markdown(run: Run, gradings: Sequence[Grading], limits: Limits, machine: Sequence[tuple[str, str]], notes: Sequence[str]) -> str:
    told = [*(f"{name}: {value}" for name, value in machine), *sentences(run, gradings, limits), *notes]
    return "\n".join([*(f"- {text}" for text in told), "", markdown_table(times_table(gradings)), ""])


def times_table(gradings: Sequence[Grading]) -> Table:
    """Seconds of wall clock that a grading took, by kind of submission."""
    lines: list[tuple[str, ...]] = []
    others = [grading for grading in gradings if grading.kind != "loop"]
    for words, group in [*((words, [g for g in gradings if g.kind == kind]) for kind, words in _KINDS.items()), ("all that end", others)]:
        if group:
            seconds = [grading.seconds for grading in group]
            lines.append((words, str(len(group)), *(f"{percentile(seconds, percent):.2f}" for percent in _PERCENTS), f"{max(seconds):.2f}"))
    return ("submissions", "n", *(f"p{percent} s" for percent in _PERCENTS), "max s"), lines


def sentences(run: Run, gradings: Sequence[Grading], limits: Limits) -> list[str]:
    """What the issue of load asks, each with its figure."""
    loops = [grading for grading in gradings if grading.kind == "loop"]
    right = [grading for grading in gradings if grading.kind == "right"]
    account = account_of(gradings, run.wall_seconds, run.jobs)
    found = [
        f"Graded {len(gradings):,} of {run.size:,} with {run.jobs} jobs in {run.wall_seconds:,.0f} s{_parts(run)}: "
        f"{3600 * len(gradings) / run.wall_seconds:,.0f} an hour; without the endless ones' own time "
        f"{3600 * run.jobs * (len(gradings) - len(loops)) / max(account.other_seconds, 1e-9):,.0f} an hour.",
        f"Memory of the whole tree of processes at its peak: {run.tree_bytes / 2**20:,.0f} MiB, a shared page counted once. CPU: "
        f"{sum(grading.cpu_seconds for grading in gradings) / len(gradings):.2f} s for each submission.",
        f"Left behind: {run.left_processes} processes, {len(run.left_files)} files; {run.changed_submissions or 'no'} change to what was handed in.",
        f"Right submissions with full marks: {sum(grading.score == grading.max_score for grading in right)} of {len(right)}.",
    ]
    if loops:
        longest = max(grading.seconds for grading in loops)
        found.append(
            f"Limits: {limits.call_seconds:g} s for a call, {limits.submission_seconds:g} s for a submission. The {len(loops)} endless ones took "
            f"{account.loop_seconds:,.0f} s in all, the longest {longest:.1f} s ({longest / limits.submission_seconds:.2f} × its deadline)."
        )
    found.append(
        f"All gradings' own times over {run.jobs} jobs make {account.least_seconds:,.0f} s; the run took {account.ratio:.2f} × that, starts and "
        "the class report included."
    )
    slower = slowdown(gradings)
    if slower is not None:
        found.append(
            f"A file that was graded beside an endless one took {slower.ratio:.2f} × what the same source took without: the median of "
            f"{slower.sources} sources, {slower.beside} gradings beside and {slower.apart} apart."
        )
    return found


def _parts(run: Run) -> str:
    return f" ({run.parts} starts)" if run.parts > 1 else ""


def _left(run: Run) -> str:
    if not run.finished:
        return f"What is left behind is looked at when a run ends; {run.changed_submissions or 'no'} change to what was handed in."
    return (
        f"Left behind: {run.left_processes} processes, {len(run.left_files)} files{_names(run.left_files)}; "
        f"{run.changed_submissions or 'no'} change to what was handed in."
    )


def _names(files: Sequence[str]) -> str:
    return f" ({', '.join(files[:5])})" if files else ""
