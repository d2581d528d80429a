"""`autograder shard`: cut what changed into shards for other machines, and say which there are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from autograder.course.course import load_course
from autograder.course.roster import load_roster
from autograder.grading.run import Run
from autograder.grading.seeds import course_secret
from autograder.grading.shards import write_shards
from autograder.grading.task import SandboxMode
from autograder.reports.model import Status
from autograder.results.ledger import Ledger
from autograder.submissions.find import find_submissions


@dataclass(frozen=True)
class ShardOptions:
    submissions: Path
    out: Path
    course: Path
    results: Path
    size: int
    roster: Path | None = None
    assignment: str | None = None
    students: tuple[str, ...] | None = None
    sandbox: SandboxMode = "require"
    force: bool = False
    matrix: Path | None = None  # a file to which "shards=[…]" is appended, as a workflow's output is


def shard(options: ShardOptions, console: Console) -> int:
    course = load_course(options.course)
    roster = load_roster(options.roster, course) if options.roster else None
    assignments = (course.find(options.assignment),) if options.assignment else course.assignments
    found = find_submissions(options.submissions, course, assignments, None, roster)
    wanted = [entry for entry in found.handed if options.students is None or entry.student in options.students]
    run = Run(course, Ledger(options.results), course_secret(options.course.parent / ".autograder"), options.sandbox, 1, options.force)
    tasks = [task for task in run.pending(wanted) if task.reading.status is not Status.MISSING]
    names = write_shards(tasks, course, options.submissions, options.out, options.size)
    if options.matrix is not None:
        with options.matrix.open("a", encoding="utf-8") as file:
            file.write(f"shards={json.dumps(names)}\n")
    console.print(f"{len(tasks)} submissions to grade in {len(names)} shards.", highlight=False)
    return 0
