"""Submissions of one assignment in the zip file that a learning management system gives out: Moodle, Canvas, Blackboard, or plain folders."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from autograder.collect.archive import Entry, entries_of_zip, read_zip_entry
from autograder.collect.model import CollectError, Files, Place, Version
from autograder.course.course import Assignment
from autograder.course.names import SafeNameError, check_name
from autograder.course.roster import Roster, Student

# What comes before the file's own name, and in it the student: "Ada Lovelace_4711_assignsubmission_file_/attention.py",
# "lovelaceada_LATE_4711_88001_attention-1.py", "Week 1_alovelace_attempt_2026-10-05-12-30-45_attention.py", "ada.lovelace/attention.py".
_MOODLE = re.compile(r"(?:.*/)?(?P<student>[^/]+?)_\d+_assignsubmission_file_?/(?:.*/)?(?P<name>[^/]+)")
_BLACKBOARD = re.compile(r"(?:.*/)?[^/]*_(?P<student>[^/_]+)_attempt_[\d-]+_(?P<name>[^/]+)")
_CANVAS = re.compile(r"(?:.*/)?(?P<student>[^/_]+)(?:_LATE)?_\d+_\d+_(?P<name>[^/]+)")
_FOLDER = re.compile(r"(?P<student>[^/]+)/(?:.*/)?(?P<name>[^/]+)")
_AGAIN = re.compile(r"-\d+(?=\.[a-z]+$)")  # Canvas numbers what is handed in again


class ZipSource:
    """`notes` names what could not be told to be a student's."""

    def __init__(self, path: Path, assignment: Assignment, roster: Roster | None = None) -> None:
        self._assignment = assignment
        try:
            self._archive = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise CollectError(f"{path} does not exist") from None
        except (zipfile.BadZipFile, OSError) as error:
            raise CollectError(f"{path} is not a zip file that can be read: {error}") from None
        self.notes: list[str] = []
        self._entries: dict[str, dict[str, Entry]] = {}
        self._sort(roster)

    def places(self) -> Sequence[Place]:
        if not self._entries:
            raise CollectError(f"the zip file holds no {self._assignment.name}.py or .ipynb of any student")
        return [Place(student, student) for student in sorted(self._entries)]

    def versions(self, place: Place) -> Sequence[Version]:
        return [Version("", None)]

    def files(self, place: Place, version: Version, paths: Iterable[str], max_bytes: int) -> Files:
        entries = self._entries[place.student]
        folder = self._assignment.folder
        wanted = set(paths)
        contents = {
            f"{folder}/{name}": read_zip_entry(self._archive, entry, max_bytes) for name, entry in entries.items() if f"{folder}/{name}" in wanted
        }
        return Files(contents)

    def _sort(self, roster: Roster | None) -> None:
        known = _Names(roster) if roster else None
        wanted = {f"{self._assignment.name}.py", f"{self._assignment.name}.ipynb"}
        for entry in entries_of_zip(self._archive):
            match = next(filter(None, (pattern.fullmatch(entry.path) for pattern in (_MOODLE, _BLACKBOARD, _CANVAS, _FOLDER))), None)
            if match is None or (name := _AGAIN.sub("", match["name"])) not in wanted:
                continue
            student = known.find(match["student"]) if known else match["student"]
            try:
                identity = check_name(student or "", "student")
            except SafeNameError:
                self.notes.append(f"{match['student'][:60]} handed in {name} and is not on the roster: collect again after you added the student")
                continue
            before = self._entries.setdefault(identity, {}).get(name)
            if before is None or _number(entry) >= _number(before):
                self._entries[identity][name] = entry


class _Names:
    """A roster's students by every way in which these systems write them."""

    def __init__(self, roster: Roster) -> None:
        self._by_name: dict[str, set[str]] = {}
        for student in roster.students:
            for name in _written(student):
                if name:
                    self._by_name.setdefault(name, set()).add(student.id)

    def find(self, name: str) -> str:
        """ "" when nobody, or more than one, is written so."""
        found = self._by_name.get(_squashed(name), set())
        return next(iter(found)) if len(found) == 1 else ""


def _written(student: Student) -> set[str]:
    first, last = _squashed(student.first_name), _squashed(student.last_name)
    full = {first + last, last + first} if first and last else set()
    return {_squashed(student.id), _squashed(student.github), _squashed(student.email.partition("@")[0]), *full}


def _squashed(name: str) -> str:
    """Letters and digits alone, without accents or case."""
    return "".join(character for character in unicodedata.normalize("NFKD", name).casefold() if character.isalnum())


def _number(entry: Entry) -> tuple[int, tuple[int, ...]]:
    again = _AGAIN.search(entry.path)
    return (int(again[0][1:]) if again else 0, entry.info.date_time)
