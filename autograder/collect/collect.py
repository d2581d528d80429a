"""Collect a class: for each student the version that counts, its files laid where the grader looks for them.

    <submissions>/<student>/01_attention/attention.py      and timestamp.txt, when it arrived

A run that is stopped loses nothing; what has not changed is not fetched again; a place that cannot be reached leaves what was
collected from it before as it is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from autograder.collect.choose import choose
from autograder.collect.from_folder import TIMESTAMP
from autograder.collect.model import CollectError, Files, Place, PlaceError, Source, Version, Wanted
from autograder.collect.record import Collected, Record, digests, load_record, write_record
from autograder.course.course import Assignment, Course
from autograder.course.roster import Roster
from autograder.results.atomic import write_atomically

# Which version counts: the last that arrived until the due time and the student's extension; the newest, whenever it arrived; or
# the last until one time for all.
Until = datetime | str
DUE, NEWEST = "due", "newest"


@dataclass
class Outcome:
    """What a run did. problems: places that could not be had; notes: for a person to look at."""

    students: int = 0
    new: int = 0
    unchanged: int = 0
    absent: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Collection:
    """Everything that collecting needs besides the source."""

    course: Course
    assignments: Sequence[Assignment]
    submissions: Path
    until: Until = DUE
    roster: Roster | None = None

    def run(
        self, source: Source, students: Sequence[str] | None = None, progress: Callable[[str, int, int], None] = lambda _s, _d, _t: None
    ) -> Outcome:
        """Collect from every place, or from these students'. Raises CollectError when nothing can be collected."""
        places = source.places()
        unknown = sorted(set(students or ()) - {place.student for place in places})
        if unknown:
            raise CollectError(f"there is no student {', '.join(map(repr, unknown))} to collect from")
        places = [place for place in places if students is None or place.student in students]
        twice = sorted({place.student for place in places if sum(other.student == place.student for other in places) > 1})
        if twice:
            raise CollectError(f"more than one place for {', '.join(twice)}: name one repository for each student")
        outcome = Outcome(students=len(places))
        for done, place in enumerate(places, 1):
            try:
                self._collect(source, place, outcome)
            except PlaceError as error:
                outcome.problems.append(f"{place.student}: {error}")
            progress(place.student, done, len(places))
        return outcome

    def _collect(self, source: Source, place: Place, outcome: Outcome) -> None:
        folder = self.submissions / place.student
        if folder.is_symlink():
            raise PlaceError(f"{folder} is a symbolic link; remove it")
        known = load_record(folder, place.student)
        record = known if known is not None and known.where == place.where else Record(place.student, place.where)
        versions = source.versions(place)
        record = record.with_versions(list(versions))
        fetched: dict[str, Files] = {}
        for assignment in self.assignments:
            wanted = Wanted(assignment)
            before = record.assignments.get(assignment.folder)

            def files_of(version: Version, wanted: Wanted = wanted, before: Collected | None = before) -> Mapping[str, bytes]:
                kept = _kept(folder / wanted.assignment.folder, version, before)
                if kept is not None:
                    return kept
                if version.id not in fetched or not version.id:
                    fetched[version.id] = self._cut(source.files(place, version, self._paths(), self.course.limits.notebook_bytes))
                return fetched[version.id].of(wanted)

            due = self._due(assignment, place.student)
            choice = choose(versions, due if self.until == DUE else self.until if isinstance(self.until, datetime) else None, due, files_of)
            if choice is None or not choice.files:
                outcome.absent += 1
                _remove(folder / assignment.folder, before)
                record = record.with_assignment(assignment.folder, Collected(choice.version.id if choice else "", None))
                continue
            if choice.version.id in fetched:
                strange = [note for note in fetched[choice.version.id].notes if f"/{assignment.name}." in note]
                outcome.notes += [f"{place.student}: {note}" for note in strange]
            submitted_at = choice.submitted_at.isoformat() if choice.submitted_at else None
            extra = fetched[choice.version.id].contents.get(f"{assignment.folder}/{TIMESTAMP}") if choice.version.id in fetched else None
            there = fetched[choice.version.id].folder_of(wanted) if choice.version.id in fetched else before.folder if before else ""
            collected = Collected(choice.version.id, submitted_at, digests(choice.files), there)
            if before == collected and _kept(folder / assignment.folder, choice.version, before) is not None:
                outcome.unchanged += 1
            else:
                outcome.new += 1
                _lay(folder / assignment.folder, choice.files, f"{submitted_at}\n".encode() if submitted_at else extra)
            record = record.with_assignment(assignment.folder, collected)
        write_record(folder, record)

    def _cut(self, files: Files) -> Files:
        """One byte more than may be graded is kept, so that the grader sees that it is too much."""
        longest = self.course.limits.source_bytes + 1
        return replace(files, contents={path: data if path.endswith(".ipynb") else data[:longest] for path, data in files.contents.items()})

    def _paths(self) -> list[str]:
        return [path for assignment in self.assignments for path in Wanted(assignment).paths]

    def _due(self, assignment: Assignment, student: str) -> datetime | None:
        if assignment.due is None:
            return None
        return assignment.due + self.roster.extension(student, assignment.folder) if self.roster else assignment.due


def _kept(folder: Path, version: Version, before: Collected | None) -> Mapping[str, bytes] | None:
    """The files of `version` when they were collected before and lie there unchanged."""
    if before is None or not version.id or before.commit != version.id:
        return None
    try:
        files = {name: (folder / name).read_bytes() for name in before.files if not (folder / name).is_symlink()}
    except OSError:
        return None
    return files if digests(files) == dict(before.files) else None


def _lay(folder: Path, files: Mapping[str, bytes], timestamp: bytes | None) -> None:
    """Write the files that count, whole or not at all, and take away those of an earlier version that are gone."""
    for name, data in files.items():
        write_atomically(folder / name, data)
    if timestamp is not None:
        write_atomically(folder / TIMESTAMP, timestamp)
    stem = next(iter(files)).partition(".")[0]
    for name in {f"{stem}.py", f"{stem}.ipynb", *(() if timestamp is not None else (TIMESTAMP,))} - files.keys():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(folder / name)


def _remove(folder: Path, before: Collected | None) -> None:
    """Take away what an earlier collection laid: the version that counts no longer holds it. Nothing else is touched."""
    if before is None or not before.files:
        return
    for name in (*before.files, TIMESTAMP):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(folder / name)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
