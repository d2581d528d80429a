"""All mutants of one assignment tried: in this process first, and those that nothing fails there in a whole grading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path

from autograder.authoring.examine import grade
from autograder.authoring.mutants.generate import Key, Mutant, mutants_of
from autograder.authoring.mutants.journal import Entry, Journal
from autograder.authoring.mutants.trial import suite_of, try_source
from autograder.course.course import Assignment, Limits
from autograder.grading.fingerprint import suite_sha256
from autograder.grading.paths import REFERENCES
from autograder.grading.task import Task
from autograder.reports.model import Status
from autograder.submissions.read import Reading

_LEAST_SECONDS = 5
_WAITING = 3  # mutants handed out ahead for each job
_RECENT = 3


@dataclass(frozen=True)
class Found:
    """What came of an assignment's mutants. by_grading: how many of the killed only a whole grading killed."""

    mutants: tuple[Mutant, ...]
    survived: tuple[Key, ...]
    by_grading: int

    @property
    def killed(self) -> int:
        return len(self.mutants) - len(self.survived)


class UnsoundError(Exception):
    """The reference itself does not pass."""


def try_all(
    assignment: Assignment, limits: Limits, executor: Executor, folder: Path, progress: Callable[[int, int, int], None], *, gradings: bool
) -> Found:
    """Each mutant of the reference, going on from what the journal in `folder` says of the same suite. progress: done, of how many, survivors.

    Without `gradings` a mutant survives that no test without a worker fails.
    """
    reference = (REFERENCES / f"{assignment.name}.py").read_text(encoding="utf-8")
    mutants = tuple(mutants_of(reference))
    journal = Journal(folder / f"{assignment.name}.jsonl")
    suite = suite_sha256(assignment.name)
    order, cpu_seconds = executor.submit(plan, assignment.name, reference).result()
    entries: dict[str, Entry] = {}
    killers: dict[str, list[str]] = {}
    waiting: dict[Future[tuple[str | None, str]], Mutant] = {}

    def settle(entry: Entry, mutant: Mutant) -> None:
        entries[mutant.source] = entry
        if entry.killed_by in order:  # what fails one mutant of a function is likely to fail the next
            recent = killers.setdefault(mutant.key.function, [])
            killers[mutant.key.function] = [entry.killed_by, *(test for test in recent if test != entry.killed_by)][:_RECENT]
        progress(len(entries), len(mutants), sum(entry.killed_by is None for entry in entries.values()))

    def collect(at_most: int) -> None:
        while len(waiting) > at_most:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                mutant = waiting.pop(future)
                settle(journal.note(mutant.source, suite, *future.result()), mutant)

    ahead = _WAITING * getattr(executor, "_max_workers", 1)
    for mutant in mutants:
        known = journal.get(mutant.source)
        if known is not None and known.suite == suite and (known.killed_by is not None or known.stage == "grading" or not gradings):
            settle(known, mutant)
            continue
        hints = [known.killed_by if known is not None else None, *killers.get(mutant.key.function, ())]
        tests = list(dict.fromkeys([*(test for test in hints if test in order), *order]))
        task = _task(assignment, limits, mutant.source) if gradings else None
        waiting[executor.submit(attempt, assignment.name, mutant.source, tests, cpu_seconds, task)] = mutant
        collect(ahead)
    collect(0)
    survived = tuple(mutant.key for mutant in mutants if entries[mutant.source].killed_by is None)
    by_grading = sum(entry.killed_by is not None and entry.stage == "grading" for entry in entries.values())
    return Found(mutants, survived, by_grading)


def plan(name: str, reference: str) -> tuple[list[str], int]:
    """Tests in the order of what they cost the reference, and the processor time that a mutant gets. Costly ones are left to gradings."""
    suite = suite_of(name)
    trial = try_source(suite, reference, [test.id for test in suite.manifest if not test.costly], 600)
    if trial.killed_by is not None:
        raise UnsoundError(f"the reference of {name} fails {trial.killed_by}: run `make verify A={name}`")
    seconds = trial.cpu_seconds
    return sorted(seconds, key=seconds.__getitem__), max(_LEAST_SECONDS, round(4 * sum(seconds.values())))


def attempt(name: str, source: str, tests: list[str], cpu_seconds: int, task: Task | None) -> tuple[str | None, str]:
    """What killed it, None when it survived, and the stage that says so."""
    trial = try_source(suite_of(name), source, tests, cpu_seconds)
    if trial.killed_by is not None or task is None:
        return trial.killed_by, "process"
    report = grade(task)
    if report.status is not Status.GRADED:
        return f"({report.status.value})", "grading"
    return next((test.id for test in report.tests if test.points < test.max_points), None), "grading"


def counts(found: Found, known: Mapping[Key, str]) -> tuple[int, int, int, int]:
    """Mutants, killed, equivalent, survivors without a reason."""
    equivalent = sum(key in known for key in found.survived)
    return len(found.mutants), found.killed, equivalent, len(found.survived) - equivalent


def _task(assignment: Assignment, limits: Limits, source: str) -> Task:
    content = hashlib.sha256(source.encode()).hexdigest()
    return Task("mutant", assignment.folder, Reading(Status.GRADED, content, source), content, content, 1, limits, "best")
