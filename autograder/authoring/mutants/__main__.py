"""Mutation testing of the reference solutions.

python -m autograder.authoring.mutants attention            # one assignment; none named: all
python -m autograder.authoring.mutants --jobs 2 --write     # and docs/mutation.md

Exit code 1 when a mutant survives without a reason in autograder/misconceptions/equivalents/NAME.json, or a reason is stale. Stopped, it goes
on where it was when it is called again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from autograder.authoring.mutants.campaign import UnsoundError, counts, try_all
from autograder.authoring.mutants.equivalents import EQUIVALENTS, EquivalentsError, load_equivalents, problems
from autograder.authoring.mutants.page import with_counts
from autograder.course.course import CourseError, load_course
from autograder.grading.jobs import abandon, local_executor
from autograder.grading.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "mutation.md"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m autograder.authoring.mutants", description="Mutation testing of the reference solutions.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="assignments (attention, …); all when none is named")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time (default: one for each processor)")
    parser.add_argument("--journal", type=Path, default=REPOSITORY / "build" / "mutants", help="folder that remembers what was tried")
    parser.add_argument("--quick", action="store_true", help="no whole gradings: a mutant survives that no test without a worker fails")
    parser.add_argument("--write", action="store_true", help="write the counts to docs/mutation.md")
    given = parser.parse_args(arguments)
    if given.quick and given.write:
        parser.error("--write publishes what whole gradings say; leave out --quick")
    try:
        return run(given.names, given.jobs, given.journal, gradings=not given.quick, page=PAGE if given.write else None)
    except (CourseError, EquivalentsError, UnsoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(names: Sequence[str], jobs: int, journal: Path, *, gradings: bool, page: Path | None) -> int:
    """Exit code: 0 when every survivor has its reason and every reason its survivor."""
    console = Console(highlight=False)
    course = load_course(REPOSITORY / "course.toml")
    assignments = [course.find(name) for name in names] or list(course.assignments)
    reasons = {assignment.name: load_equivalents(EQUIVALENTS / f"{assignment.name}.json") for assignment in assignments}
    sound = True
    executor = local_executor(jobs)
    try:
        for assignment in assignments:
            known = reasons[assignment.name]
            with Progress(*Progress.get_default_columns(), "{task.fields[left]} survive", console=console, transient=True) as bar:
                line = bar.add_task(assignment.folder, left=0)

                def show(done: int, total: int, left: int, bar: Progress = bar, line: object = line) -> None:
                    bar.update(line, completed=done, total=total, left=left)  # type: ignore[arg-type]

                found = try_all(assignment, course.limits, executor, journal, show, gradings=gradings)
            mutants, killed, equivalent, unexplained = counts(found, known)
            console.print(
                f"{assignment.folder}: {mutants} mutants, {killed} killed ({found.by_grading} by a whole grading only), "
                f"{len(found.survived)} survived, {equivalent} of them equivalent"
            )
            wrong = problems(found.survived, known)
            for problem in wrong:
                console.print(f"  {problem}", style="bold red", markup=False, soft_wrap=True)
            sound = sound and not wrong
            if page is not None:
                row = {assignment.folder: (mutants, killed, found.by_grading, equivalent, unexplained)}
                page.write_text(with_counts(page.read_text(encoding="utf-8"), row), encoding="utf-8")
    except BaseException:
        abandon(executor)
        raise
    executor.shutdown()
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
