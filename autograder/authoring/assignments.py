"""Which assignments the course has, and where their files lie."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Assignment:
    """One assignment of course.toml. `folder` is "01_attention", `name` "attention"."""

    folder: str
    title: str

    @property
    def name(self) -> str:
        return self.folder.split("_", 1)[1]

    def reference(self, repository: Path) -> Path:
        return repository / "reference_solutions" / f"{self.name}.py"

    def handout(self, repository: Path) -> Path:
        return repository / "assignments" / self.folder / "README.md"


def read_assignments(repository: Path) -> tuple[Assignment, ...]:
    """The assignments of course.toml, in its order. Raises ValueError for a name that is not NN_name."""
    course = tomllib.loads((repository / "course.toml").read_text(encoding="utf-8"))
    assignments = []
    for entry in course["assignments"]:
        if not re.fullmatch(r"\d\d_[a-z][a-z0-9_]*", entry["name"]):
            raise ValueError(f'course.toml: the assignment name {entry["name"]!r} is not of the form "01_attention"')
        assignments.append(Assignment(entry["name"], entry["title"]))
    return tuple(assignments)
