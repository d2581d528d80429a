"""`.release.json`: what a folder was given, so that a later release can tell the course's files from the student's.

    {"schema_version": 1, "course": "transformers", "assignments": ["01_attention"], "files": {"README.md": "<sha256>"}}

`files` has the SHA-256 of each file as it was released; for one that the student changed since, of the version that the change
began with. While a release is being written, `writing` lists what may lie in the folder besides, so that one that was killed
is taken up again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.release.errors import ReleaseError

NAME = ".release.json"
SCHEMA_VERSION = 1

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class Manifest:
    course: str
    assignments: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    writing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def versions(self, path: str) -> set[str]:
        """Hashes of the file that came from a release and not from the student."""
        return {*self.writing.get(path, ()), *([self.files[path]] if path in self.files else [])}

    def text(self) -> str:
        """The same manifest gives the same bytes."""
        content: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "course": self.course, "assignments": list(self.assignments)}
        content["files"] = dict(sorted(self.files.items()))
        if self.writing:
            content["writing"] = {path: sorted(versions) for path, versions in sorted(self.writing.items())}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_manifest(folder: Path) -> Manifest | None:
    """None when there is none. Raises ReleaseError when it is not what a release of this version writes."""
    path = folder / NAME
    if path.is_symlink():
        raise ReleaseError(f"{path} is a link; put back the file that the last release wrote")
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
        content = json.loads(data.decode("utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReleaseError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ReleaseError(f"{path} is not the JSON that a release writes; put it back as it was") from None
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise ReleaseError(f"{path} is not of schema version {SCHEMA_VERSION}; release with the version of the course that wrote it")
    try:
        files = {check_path(name): _hash(value) for name, value in content["files"].items()}
        writing = {check_path(name): tuple(_hash(value) for value in values) for name, values in content.get("writing", {}).items()}
        return Manifest(_string(content["course"]), tuple(_string(name) for name in content.get("assignments", [])), files, writing)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ReleaseError(f"{path} was changed by hand: {error}; put it back as it was") from None


def check_path(path: str) -> str:
    """Return `path` when it names a file below the folder. Raises ValueError when it could lead anywhere else."""
    parts = path.split("/")
    bad = "\\" in path or ":" in path or any(part in ("", ".", "..") or ord(min(part)) < 32 for part in parts)
    if bad or parts[0].lower() in (".git", NAME):
        raise ValueError(f"it lists {path[:120]!r}, which no release writes")
    return path


def _hash(value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise ValueError(f"{value[:80]!r} is no SHA-256")
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:80]!r} is no text")
    return value
