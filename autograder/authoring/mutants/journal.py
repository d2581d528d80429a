"""What became of each mutant, kept on disk line by line, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """killed_by: a test, or None. stage: "process" when tests without a worker decided, "sandbox" when a whole grading did."""

    mutant: str  # hash of its source
    suite: str  # hash of what decides
    killed_by: str | None
    stage: str


class Journal:
    """The latest entry of each mutant. One made for another suite still tells which test to try first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, Entry] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = Entry(**json.loads(line))
                except (ValueError, TypeError):  # the last line of a run that was killed
                    continue
                self._entries[entry.mutant] = entry

    def get(self, source: str) -> Entry | None:
        return self._entries.get(digest(source))

    def note(self, source: str, suite: str, killed_by: str | None, stage: str) -> Entry:
        entry = Entry(digest(source), suite, killed_by, stage)
        self._entries[entry.mutant] = entry
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
        return entry


def digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()
