"""`autograder post`: bring scores to the commits they belong to; reports of other machines are validated first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from autograder.collect.record import load_record
from autograder.course.course import Assignment, Course, load_course
from autograder.course.roster import load_roster
from autograder.github.client import GitHub
from autograder.github.errors import GitHubError
from autograder.github.tokens import token_from_environment
from autograder.grading.fingerprint import suite_sha256
from autograder.grading.suite import Suite
from autograder.posting.post import Outcome, Post, post_all, posts_of
from autograder.posting.validate import Manifest, ResultError, keep, read_incoming, validated
from autograder.posting.ways import WAYS
from autograder.reports.text import one_line
from autograder.results.ledger import Ledger
from autograder.results.standings import standings

DRY_RUN_CHARACTERS = 4_000


@dataclass(frozen=True)
class PostOptions:
    """incoming: folders of results from other machines, to be validated and kept in `results` first. way: a name of WAYS."""

    submissions: Path
    course: Path
    results: Path
    incoming: tuple[Path, ...] = ()
    roster: Path | None = None
    assignment: str | None = None
    students: tuple[str, ...] | None = None
    way: str = "check"
    dry_run: bool = False
    api: str = ""


def post(options: PostOptions, console: Console) -> int:
    """Exit code: 0 all posted, 1 when a report was refused or a repository could not be written to."""
    course = load_course(options.course)
    roster = load_roster(options.roster, course) if options.roster else None
    ledger = Ledger(options.results)
    refused = _take_in(options, course, ledger, console) if options.incoming else 0
    wanted = {course.find(options.assignment).folder} if options.assignment else {assignment.folder for assignment in course.assignments}
    found = [
        entry
        for entry in standings(ledger.all_current(), course, roster)
        if entry.report.assignment in wanted and (options.students is None or entry.report.student in options.students)
    ]
    posts, notes = posts_of(found, course, options.submissions)
    for note in (*notes, *ledger.problems):
        console.print(f"note: {one_line(note, 300)}", highlight=False, markup=False, soft_wrap=True)
    if options.dry_run:
        _show(posts, console)
        return 1 if refused else 0
    outcome = _post_by_owner(posts, ledger, options, console)
    console.print(f"{outcome.posted} posted, {outcome.unchanged} unchanged.", highlight=False)
    for problem in outcome.problems:
        console.print(f"error: {one_line(problem, 300)}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    return 1 if refused or outcome.problems else 0


def _take_in(options: PostOptions, course: Course, ledger: Ledger, console: Console) -> int:
    """Keep what other machines graded, as far as it can be believed. Returns how many reports were refused."""
    manifests, suites = _manifests(course.assignments)

    def digests_of(student: str, assignment: str) -> set[str]:
        record = load_record(options.submissions / student, student)
        if record is None:
            raise KeyError(student)
        return set(record.assignments[assignment].files.values())

    kept = refused = 0
    for folder in options.incoming:
        for path, report in read_incoming(folder):
            try:
                if isinstance(report, ResultError):
                    raise report
                keep(validated(report, course, manifests, suites, digests_of), ledger)
                kept += 1
            except ValueError as error:
                refused += 1
                console.print(
                    f"error: {one_line(path, 120)} is refused: {one_line(str(error), 200)}",
                    style="bold red",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
    console.print(f"{kept} reports taken in, {refused} refused.", highlight=False)
    return refused


def _manifests(assignments: Sequence[Assignment]) -> tuple[Mapping[str, Manifest], Mapping[str, str]]:
    manifests = {}
    for assignment in assignments:
        suite = Suite(assignment.name)
        manifests[assignment.name] = suite.manifest
        suite.close()
    return manifests, {assignment.name: suite_sha256(assignment.name) for assignment in assignments}


def _post_by_owner(posts: Sequence[Post], ledger: Ledger, options: PostOptions, console: Console) -> Outcome:
    """An App's token reaches one owner's repositories."""
    way = WAYS[options.way]
    whole = Outcome()
    for owner in sorted({entry.repository.partition("/")[0] for entry in posts}):
        own = [entry for entry in posts if entry.repository.partition("/")[0] == owner]
        token = token_from_environment(owner, way.permissions, base_url=options.api)

        def progress(done: int, total: int) -> None:
            if done == total or done * 10 // total > (done - 1) * 10 // total:
                console.print(f"posted {done} of {total}", highlight=False)

        with GitHub(token, options.api, say=lambda sentence: console.print(sentence, highlight=False, markup=False, soft_wrap=True)) as github:
            try:
                part = post_all(own, github, way, ledger, progress)
            except GitHubError as error:
                whole.problems.append(f"{owner}: {error}")
                continue
        whole.posted += part.posted
        whole.unchanged += part.unchanged
        whole.problems += part.problems
    return whole


def _show(posts: Sequence[Post], console: Console) -> None:
    for entry in posts:
        console.rule(one_line(f"{entry.repository} @ {entry.commit[:10]}", 100))
        text = entry.content.comment
        console.print(text[:DRY_RUN_CHARACTERS], highlight=False, markup=False, soft_wrap=True)
        if len(text) > DRY_RUN_CHARACTERS:
            console.print(f"… {len(text) - DRY_RUN_CHARACTERS:,} more characters", highlight=False)
    console.print(f"{len(posts)} would be posted; nothing was sent.", highlight=False)
