"""`autograder grade`: grade a class, then derive everything that people read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from autograder.commands.publish import Published, prepared_folder, publish
from autograder.course.course import Assignment, Course, load_course
from autograder.course.roster import load_roster
from autograder.grading.jobs import local_executor
from autograder.grading.paths import HIDDEN_TESTS
from autograder.grading.run import Counts, Run
from autograder.grading.seeds import course_secret
from autograder.grading.shards import load_seeds
from autograder.grading.task import SandboxMode
from autograder.reports.console import RunCounts, grades_table
from autograder.reports.text import one_line
from autograder.results.ledger import Ledger
from autograder.submissions.find import find_submissions

EXIT_OK, EXIT_PROBLEM = 0, 1


@dataclass(frozen=True)
class GradeOptions:
    """What the command line may say. gradebook: an SQLAlchemy URL; "none" for no gradebook; None for gradebook.db where nbgrader is installed."""

    submissions: Path
    course: Path
    results: Path
    assignment: str | None = None
    student: str | None = None
    jobs: int | None = None
    sandbox: SandboxMode = "require"
    gradebook: str | None = None
    roster: Path | None = None
    force: bool = False
    seeds: Path | None = None


def grade(options: GradeOptions, console: Console) -> int:
    """Exit code: 0 when grading worked, whatever the scores; 1 when something could not be graded or written.

    Raises the errors of the parts, each with one sentence for the instructor, when nothing could be graded at all.
    """
    started = time.monotonic()
    course = load_course(options.course)
    roster = load_roster(options.roster, course) if options.roster else None
    assignments = (course.find(options.assignment),) if options.assignment else _with_suites(course)
    found = find_submissions(options.submissions, course, assignments, options.student, roster)
    ledger = Ledger(options.results)
    seeds = load_seeds(options.seeds) if options.seeds else None
    secret = b"" if seeds is not None else course_secret(options.course.parent / ".autograder")
    handed = found.handed if seeds is None else tuple(entry for entry in found.handed if (entry.student, entry.assignment.folder) in seeds)
    run = Run(course, ledger, secret, options.sandbox, options.jobs or _default_jobs(), options.force, seeds)
    with _progress(console, len(handed)) as advance:
        try:
            counts = run.execute(handed, lambda: local_executor(run.jobs), advance)
        except KeyboardInterrupt:
            console.print("\nStopped. What was graded is kept; the same command goes on from here.")
            raise
    url = gradebook_url(options.course, options.gradebook)
    published = publish(course, ledger, roster, url, options.submissions, lambda _name: None, prepared_folder(options.course))
    _show(console, course, options, found.notes, counts, published, time.monotonic() - started)
    return EXIT_PROBLEM if counts.failures or published.problems else EXIT_OK


def _with_suites(course: Course) -> tuple[Assignment, ...]:
    return tuple(assignment for assignment in course.assignments if (HIDDEN_TESTS / f"test_{assignment.name}.py").is_file())


def _default_jobs() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gradebook_url(course_path: Path, given: str | None) -> str | None:
    """The gradebook that --gradebook names, or gradebook.db beside course.toml; None for none."""
    if given == "none":
        return None
    if given:
        return given
    from importlib.util import find_spec

    return f"sqlite:///{(course_path.parent / 'gradebook.db').absolute()}" if find_spec("nbgrader") else None


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Any]:
    """A bar on a terminal; elsewhere a line for each tenth."""
    if console.is_terminal:
        columns = (TextColumn("Grading"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[student]}"))
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=total, student="starting the sandbox")
            yield lambda student: bar.update(task, advance=1, student=one_line(student, 30).replace("[", "\\["))
        return
    done = 0

    def advance(_student: str) -> None:
        nonlocal done
        done += 1
        if done == total or done * 10 // total > (done - 1) * 10 // total:
            console.print(f"graded {done} of {total}", highlight=False)

    yield advance


def _show(
    console: Console, course: Course, options: GradeOptions, notes: Sequence[str], counts: Counts, published: Published, seconds: float
) -> None:
    console.print(grades_table(course, published.standings, RunCounts(len(counts.graded), counts.unchanged, seconds)))
    for text in (*notes, *published.warnings):
        console.print(f"note: {one_line(text, 400)}", markup=False, highlight=False)
    _show_isolation(console, options, counts)
    shown = [
        ("scores", options.results / "grades.csv"),
        ("class report", options.results / "class_report.html"),
        ("feedback", options.results / "feedback"),
    ]
    for name, path in shown:
        console.print(f"{name + ':':14}{path}", markup=False, highlight=False, soft_wrap=True)
    if published.gradebook:
        from autograder.gradebook.address import without_password

        console.print(f"{'gradebook:':14}{without_password(published.gradebook)}", markup=False, highlight=False, soft_wrap=True)
    for text in (*counts.failures, *published.problems):
        console.print(f"error: {text}", style="bold red", markup=False, highlight=False, soft_wrap=True)


def _show_isolation(console: Console, options: GradeOptions, counts: Counts) -> None:
    if options.sandbox == "off":
        console.print(
            "The sandbox was off: submissions ran in a process of their own, with nothing else to hold them. Every report says so.", style="yellow"
        )
    missing = sorted({name for report in counts.graded for name in report.sandbox.missing})
    if missing and options.sandbox == "best":
        console.print(f"Isolation that this machine could not give: {', '.join(missing)}. `autograder doctor` says how to get it.", style="yellow")


def republish(course_path: Path, results: Path, gradebook: str | None, roster: Path | None, console: Console) -> int:
    """Derive everything again from the reports of `results`, without grading. Exit code as `grade`."""
    started = time.monotonic()
    course = load_course(course_path)
    options = GradeOptions(Path(), course_path, results, gradebook=gradebook)
    known = load_roster(roster, course) if roster else None
    url = gradebook_url(course_path, gradebook)
    published = publish(course, Ledger(results), known, url, None, lambda _name: None, prepared_folder(course_path))
    _show(console, course, options, (), Counts(unchanged=len(published.standings)), published, time.monotonic() - started)
    return EXIT_PROBLEM if published.problems else EXIT_OK
