"""What is collected: a student's repository or folder, its versions in the order in which they arrived, and the files in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from autograder.course.course import Assignment


class CollectError(Exception):
    """Nothing can be collected at all: one sentence for the instructor."""


class PlaceError(Exception):
    """One student's submission cannot be had now; the others can. One sentence."""


@dataclass(frozen=True)
class Place:
    """Where one student hands in: `where` is "owner/name", a git URL, a path or a name inside an archive."""

    student: str
    where: str


@dataclass(frozen=True)
class Version:
    """One state of a place. id: a commit's SHA, or "" where there is only one. arrived_at: by the server's record, None when unknown."""

    id: str
    arrived_at: datetime | None


@dataclass(frozen=True)
class Wanted:
    """The files of one assignment: attention.py and attention.ipynb, in assignments/01_attention/ or 01_attention/."""

    assignment: Assignment

    @property
    def names(self) -> tuple[str, str]:
        return f"{self.assignment.name}.py", f"{self.assignment.name}.ipynb"

    @property
    def folders(self) -> tuple[str, str]:
        return f"assignments/{self.assignment.folder}", self.assignment.folder

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(f"{folder}/{name}" for folder in self.folders for name in self.names)


@dataclass(frozen=True)
class Files:
    """Contents by path, and sentences about paths that are there and are no plain file."""

    contents: Mapping[str, bytes]
    notes: tuple[str, ...] = ()

    def of(self, wanted: Wanted) -> dict[str, bytes]:
        """By file name, from the first folder that holds any."""
        folder = self.folder_of(wanted)
        return {name: self.contents[f"{folder}/{name}"] for name in wanted.names if f"{folder}/{name}" in self.contents}

    def folder_of(self, wanted: Wanted) -> str:
        """ "" when no folder holds any."""
        return next((folder for folder in wanted.folders if any(f"{folder}/{name}" in self.contents for name in wanted.names)), "")


class Source(Protocol):
    """One kind of place. Raises PlaceError for one place, CollectError when no place can be had."""

    def places(self) -> Sequence[Place]: ...

    def versions(self, place: Place) -> Sequence[Version]:
        """The oldest first; empty when nothing was ever handed in."""

    def files(self, place: Place, version: Version, paths: Iterable[str], max_bytes: int) -> Files:
        """Those of `paths` that are plain files, each cut after max_bytes + 1."""
