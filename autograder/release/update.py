"""What a release changes in a folder where a student has been at work. Pure: nothing is read or written here.

| in the folder | what happens |
|---|---|
| nothing, and never released | written |
| as it was released | updated |
| changed by the student | kept; a newer version is put beside it as NAME.new |
| deleted by the student | stays deleted |
| no longer part of the release, as it was released | removed |
| no longer part of the release, changed | kept, and the student's own from now on |
| a link, or a folder where a file belongs | not touched |
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from autograder.release.manifest import Manifest

NEW = ".new"


class There(Enum):
    """What lies at a path when it is no plain file."""

    NOTHING = "nothing"
    NO_FILE = "a link or a folder"


Look = Callable[[str], str | There]  # the SHA-256 of the plain file at a path, or what else is there


@dataclass
class Plan:
    """`kept` says of each path why it was left as it is. `files` is what the next manifest lists."""

    write: dict[str, bytes] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def plan_update(released: Mapping[str, bytes], before: Manifest, look: Look) -> Plan:
    """How the folder that `look` sees becomes one of `released`, when `before` is what it was given last."""
    plan = Plan()
    beside: dict[str, bytes] = {}
    for path, data in released.items():
        if _settle(path, data, before, look, plan):
            continue
        if before.files.get(path) == sha256(data):
            plan.kept[path] = "changed by the student; the release has nothing newer"
        else:
            beside[path + NEW] = data
            plan.kept[path] = f"changed by the student; the new version is beside it as {path.rpartition('/')[2]}{NEW}"
        if path in before.files:
            plan.files[path] = before.files[path]
    for path, data in beside.items():
        if before.files.get(path) == sha256(data) and look(path) is There.NOTHING:
            plan.files[path] = sha256(data)  # read and deleted: it is not put there again
        elif not _settle(path, data, before, look, plan, comes_again=True):
            plan.kept[path] = "changed by the student, so that the new version could not be put there"
    for path in sorted({*before.files, *before.writing} - {*released, *beside}):
        state = look(path)
        if state in before.versions(path):
            plan.remove.append(path)
        elif state is not There.NOTHING:
            plan.kept[path] = "no longer part of the release, but not as it was released; it is the student's own now"
    return plan


def _settle(path: str, data: bytes, before: Manifest, look: Look, plan: Plan, *, comes_again: bool = False) -> bool:
    """Note what happens to a file that is not the student's; False when it is."""
    state, wanted = look(path), sha256(data)
    if state is There.NO_FILE:
        plan.kept[path] = "a link or a folder lies in its way; not touched"
    elif state is There.NOTHING and path in before.files and not comes_again:
        plan.kept[path] = "deleted by the student; not written again"
    elif state == wanted:
        plan.files[path] = wanted
        return True
    elif state is There.NOTHING or state in before.versions(path):
        plan.write[path] = data
        plan.files[path] = wanted
        return True
    else:
        return False
    if path in before.files:
        plan.files[path] = before.files[path]
    return True


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
