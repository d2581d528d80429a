"""Post the scores of a class: each to the commit that was graded, and only what changed since the last time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autograder.collect.record import Record, load_record
from autograder.course.course import Course
from autograder.github.client import GitHub
from autograder.github.errors import GitHubError, RefusedError
from autograder.grading.paths import given_stub
from autograder.posting.content import Content, content_of
from autograder.posting.ways import Way
from autograder.reports.model import Status
from autograder.results.atomic import LedgerError, write_atomically
from autograder.results.ledger import Ledger
from autograder.results.standings import Standing
from autograder.submissions.read import read_submission

_MARKER = "posted"  # beside the ledger's own marker of which report counts


@dataclass(frozen=True)
class Post:
    """One score and where it belongs."""

    student: str
    assignment: str
    repository: str
    commit: str
    key: str
    content: Content


@dataclass
class Outcome:
    posted: int = 0
    unchanged: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def posts_of(standings: Sequence[Standing], course: Course, submissions: Path) -> tuple[list[Post], list[str]]:
    """What there is to post, and sentences about scores that have no commit to go to."""
    posts, notes = [], []
    for standing in standings:
        report = standing.report
        record = load_record(submissions / report.student, report.student)
        collected = record.assignments.get(report.assignment) if record is not None else None
        if record is None or collected is None or not collected.commit:
            if report.status is not Status.MISSING:
                notes.append(f"{report.student}, {report.assignment}: was not collected from a repository; nothing to post to")
            continue
        if report.submission_sha256 and report.submission_sha256 not in collected.files.values():
            notes.append(f"{report.student}, {report.assignment}: the commit collected last is not the one that was graded; grade again")
            continue
        posts.append(_post(standing, course, submissions, record))
    return posts, notes


def _post(standing: Standing, course: Course, submissions: Path, record: Record) -> Post:
    report = standing.report
    assignment = course.find(report.assignment)
    collected = record.assignments[report.assignment]
    folder = submissions / report.student / report.assignment
    reading = read_submission(folder, assignment.name, course.limits.source_bytes, given_stub(report.assignment), course.limits.notebook_bytes)
    graded = reading.text if reading.sha256 == report.submission_sha256 else None
    name = next((name for name, digest in collected.files.items() if digest == report.submission_sha256), "")
    path = f"{collected.folder}/{name}" if name.endswith(".py") and collected.folder else None
    key = f"{course.id}/{report.assignment}/{report.student}"
    return Post(report.student, report.assignment, record.where, collected.commit, key, content_of(standing, assignment, path, graded))


def post_all(posts: Sequence[Post], github: GitHub, way: Way, ledger: Ledger, progress: Callable[[int, int], None] = lambda _d, _t: None) -> Outcome:
    """Post what changed. One repository that cannot be written to leaves the others; a token that is refused ends it.

    What was posted is noted after each one, so that a run which is stopped goes on where it was.
    """
    outcome = Outcome()
    for done, post in enumerate(posts, 1):
        marker = ledger.folder / post.assignment / post.student / _MARKER
        noted = json.dumps({"way": way.name, "repository": post.repository, "commit": post.commit, "content": post.content.digest}, sort_keys=True)
        if _text(marker) == noted:
            outcome.unchanged += 1
        else:
            try:
                way.put(github, post.repository, post.commit, post.key, post.content)
                write_atomically(marker, noted.encode())
                outcome.posted += 1
            except RefusedError as error:
                if error.status == 401:
                    raise
                outcome.problems.append(f"{post.student}, {post.assignment}: {error}")
            except (GitHubError, LedgerError) as error:
                outcome.problems.append(f"{post.student}, {post.assignment}: {error}")
        progress(done, len(posts))
    return outcome


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
