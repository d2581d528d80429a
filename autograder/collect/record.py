"""What was collected for one student, kept beside the files: which commit, when it arrived, and what was in it.

    submissions/<student>/.collected.json

Collecting again reads it and fetches only what is new; posting reads it to know where a score belongs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

from autograder.collect.model import Version
from autograder.course.late import parse_time
from autograder.results.atomic import write_atomically

RECORD = ".collected.json"
SCHEMA_VERSION = 1
_MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class Collected:
    """One assignment of one student. files: sha256 by name; empty when the chosen version does not hold the assignment.
    folder: where in the repository they were found, "assignments/01_attention"."""

    commit: str
    submitted_at: str | None
    files: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""


@dataclass(frozen=True)
class Record:
    """where: "owner/name" of a repository, or its address. seen: versions met so far with the time of the first meeting, for places
    that keep no such record themselves."""

    student: str
    where: str
    seen: tuple[tuple[str, str | None], ...] = ()
    assignments: Mapping[str, Collected] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def versions(self) -> list[Version]:
        return [Version(identity, parse_time(moment) if moment else None) for identity, moment in self.seen]

    def with_versions(self, versions: list[Version]) -> Record:
        return replace(self, seen=tuple((version.id, _text(version.arrived_at)) for version in versions if version.id))

    def with_assignment(self, folder: str, collected: Collected) -> Record:
        return replace(self, assignments={**self.assignments, folder: collected})


def load_record(folder: Path, student: str) -> Record | None:
    """The record of a student's folder; None when there is none that can be read, and then everything is collected anew."""
    try:
        data = (folder / RECORD).read_bytes()
        if len(data) > _MAX_BYTES:
            return None
        raw = json.loads(data)
        if raw["schema_version"] != SCHEMA_VERSION or raw["student"] != student:
            return None
        assignments = {
            name: Collected(entry["commit"], entry["submitted_at"], dict(entry["files"]), entry["folder"])
            for name, entry in raw["assignments"].items()
        }
        record = Record(student, str(raw["where"]), tuple((str(identity), moment) for identity, moment in raw["seen"]), assignments)
        record.versions()
        return record
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_record(folder: Path, record: Record) -> None:
    write_atomically(folder / RECORD, (json.dumps(asdict(record), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
