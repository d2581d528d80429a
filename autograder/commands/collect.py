"""`autograder collect`: bring submissions in from GitHub, git repositories, a folder or a learning management system's zip file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from autograder.collect.collect import DUE, NEWEST, Collection, Until
from autograder.collect.from_folder import FolderSource
from autograder.collect.from_git import GitSource
from autograder.collect.from_github import GitHubSource
from autograder.collect.from_zip import ZipSource
from autograder.collect.model import CollectError, Place, Source, Version
from autograder.collect.record import load_record
from autograder.course.course import Course, load_course
from autograder.course.late import parse_time
from autograder.course.names import SafeNameError, check_name
from autograder.course.roster import Roster, load_roster
from autograder.github.client import GitHub
from autograder.github.tokens import token_from_environment
from autograder.reports.text import one_line

CACHE = Path(".autograder") / "repositories"


@dataclass(frozen=True)
class CollectOptions:
    """What the command line may say. Exactly one of github, git, folder and zip. until: "due", "newest" or a time."""

    submissions: Path
    course: Path
    roster: Path | None = None
    assignment: str | None = None
    students: tuple[str, ...] | None = None
    until: str = DUE
    github: bool = False
    organisation: str = ""
    prefix: str = ""
    git: Path | None = None
    folder: Path | None = None
    zip: Path | None = None
    api: str = ""


def collect(options: CollectOptions, console: Console) -> int:
    """Exit code: 0 all collected, 1 when a place could not be had. Raises CollectError and GitHubError when nothing can be."""
    course = load_course(options.course)
    roster = load_roster(options.roster, course) if options.roster else None
    assignments = (course.find(options.assignment),) if options.assignment else course.assignments
    collection = Collection(course, assignments, options.submissions, _until(options.until), roster)
    if options.github:
        if not options.organisation and roster is None:
            raise CollectError("--github needs --roster with a column 'repository', or --organisation and --prefix")
        with _client(options, roster, console) as github:
            source: Source = GitHubSource(github, roster=roster, organisation=options.organisation, prefix=options.prefix)
            return _run(collection, source, options, console)
    return _run(collection, _source(options, course, roster), options, console)


def _run(collection: Collection, source: Source, options: CollectOptions, console: Console) -> int:
    def progress(student: str, done: int, total: int) -> None:
        if done == total or done * 10 // total > (done - 1) * 10 // total:
            console.print(f"collected {done} of {total}, {one_line(student, 40)}", highlight=False, markup=False, soft_wrap=True)

    outcome = collection.run(source, options.students, progress)
    console.print(
        f"{outcome.students} students: {outcome.new} submissions new or changed, {outcome.unchanged} unchanged, {outcome.absent} not handed in.",
        highlight=False,
    )
    for note in (*getattr(source, "notes", ()), *outcome.notes):
        console.print(f"note: {one_line(note, 300)}", highlight=False, markup=False, soft_wrap=True)
    for problem in outcome.problems:
        console.print(
            f"error: {one_line(problem, 300)}; what was collected before is kept", style="bold red", highlight=False, markup=False, soft_wrap=True
        )
    console.print(f"{'submissions:':14}{options.submissions}", highlight=False, markup=False, soft_wrap=True)
    return 1 if outcome.problems else 0


def _client(options: CollectOptions, roster: Roster | None, console: Console) -> GitHub:
    owners = [entry.repository.split("/")[-2] for entry in roster.students if "/" in entry.repository] if roster else []
    owner = options.organisation or (owners[0] if owners else "")
    token = token_from_environment(owner, {"contents": "read", "metadata": "read"}, base_url=options.api)
    return GitHub(token, options.api, say=lambda sentence: console.print(sentence, highlight=False, markup=False, soft_wrap=True))


def _source(options: CollectOptions, course: Course, roster: Roster | None) -> Source:
    if options.folder is not None:
        return FolderSource(options.folder)
    if options.zip is not None:
        if not options.assignment:
            raise CollectError("a zip file holds one assignment: name it with --assignment")
        return ZipSource(options.zip, course.find(options.assignment), roster)

    def seen(place: Place) -> Sequence[Version]:
        record = load_record(options.submissions / place.student, place.student)
        return record.versions() if record is not None and record.where == place.where else ()

    cache = options.course.parent / CACHE
    return GitSource(_listed(options.git, roster), cache, lambda: datetime.now(UTC).replace(microsecond=0), seen)


def _listed(path: Path | None, roster: Roster | None) -> list[Place]:
    """The repositories of a CSV file with a student and an address in each line, or of the roster's column."""
    if path is None:
        found = [Place(entry.id, entry.repository) for entry in roster.students if entry.repository] if roster else []
        if not found:
            raise CollectError("--git needs a CSV file with a student and a repository in each line, or a roster with the column 'repository'")
        return found
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CollectError(f"{path} cannot be read as CSV: {error}") from None
    places = []
    for line, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (line == 1 and cells[:1] == ["student"]):
            continue
        try:
            places.append(Place(check_name(cells[0], "student"), cells[1]))
        except (SafeNameError, IndexError):
            raise CollectError(f"{path.name}, line {line}: expected a student and the address of a repository, with a comma between") from None
    return places


def _until(text: str) -> Until:
    if text in (DUE, NEWEST):
        return text
    try:
        return parse_time(text)
    except ValueError:
        raise CollectError(f"--until {text!r} is neither {DUE!r}, {NEWEST!r} nor a time such as 2026-10-05T23:59:00Z") from None
