"""Which version of a student's work counts for an assignment, and when it was handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from autograder.collect.model import Version

FilesOf = Callable[[Version], Mapping[str, bytes]]


@dataclass(frozen=True)
class Choice:
    """files: by name; empty when the assignment is not in the chosen version. submitted_at: when these very files arrived."""

    version: Version
    files: Mapping[str, bytes]
    submitted_at: datetime | None


def choose(versions: Sequence[Version], until: datetime | None, due: datetime | None, files_of: FilesOf) -> Choice | None:
    """The last version that arrived by `until` (the newest of all when None); None when there is none. `versions`: the oldest first.

    A version of unknown arrival counts as arrived in time. The files are as old as the first version of the unbroken run that holds
    them unchanged, so that a push for another assignment makes none late. Versions until `due` are all alike in that, and not looked at.
    """
    in_time = [version for version in versions if until is None or version.arrived_at is None or version.arrived_at <= until]
    if not in_time:
        return None
    chosen = in_time.pop()
    files = files_of(chosen)
    arrived = chosen.arrived_at
    while in_time and due is not None and arrived is not None and arrived > due:
        earlier = in_time.pop()
        if files_of(earlier) != files:
            break
        arrived = earlier.arrived_at
    return Choice(chosen, files, arrived)
