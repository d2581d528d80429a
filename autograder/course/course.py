"""What is graded, for how much, until when and within which limits: course.toml, read and checked."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autograder.course.table import CourseError, Table

__all__ = ["Assignment", "Course", "CourseError", "LatePolicy", "Limits", "load_course"]

_POLICIES = ("none", "percent", "zero")


@dataclass(frozen=True)
class LatePolicy:
    """none: late work counts in full. percent: `percent_per_day` of the maximum for each day begun, up to `cap_percent`.
    zero: late work counts nothing."""

    policy: str = "none"
    percent_per_day: float = 0.0
    cap_percent: float = 100.0


@dataclass(frozen=True)
class Limits:
    """What one submission may use while it is graded."""

    call_seconds: float = 10.0  # wall time for one call into a submission
    submission_seconds: float = 60.0  # wall time for one submission
    cpu_seconds: float = 60.0
    memory_bytes: int = 1 << 30  # above what the worker needs before it loads the submission
    reply_bytes: int = 64 << 20  # one answer of the worker
    source_bytes: int = 1_000_000  # a submitted Python file, and the solution inside a notebook
    notebook_bytes: int = 64 << 20  # a submitted notebook, its outputs too


@dataclass(frozen=True)
class Assignment:
    """One assignment of the course. `folder` is "01_attention", `name` "attention"."""

    folder: str
    title: str
    points: float
    weight: float = 1.0
    due: datetime | None = None  # UTC

    @property
    def number(self) -> str:
        return self.folder.split("_", 1)[0]

    @property
    def name(self) -> str:
        return self.folder.split("_", 1)[1]

    def reference(self, repository: Path) -> Path:
        return repository / "reference_solutions" / f"{self.name}.py"

    def handout(self, repository: Path) -> Path:
        return repository / "assignments" / self.folder / "README.md"


@dataclass(frozen=True)
class Course:
    id: str
    title: str
    late: LatePolicy
    limits: Limits
    assignments: tuple[Assignment, ...]

    def find(self, text: str) -> Assignment:
        """The assignment called "01_attention", "attention" or "01". Raises CourseError that lists the known ones."""
        wanted = text.strip().rstrip("/")
        for assignment in self.assignments:
            if wanted in (assignment.folder, assignment.name, assignment.number):
                return assignment
        known = ", ".join(assignment.folder for assignment in self.assignments)
        raise CourseError(f"there is no assignment {text!r} in the course {self.id!r}; it has {known}")


def load_course(path: Path) -> Course:
    """Read course.toml. Raises CourseError: one message with the file, the key, its value and what is expected."""
    top = Table(_parse(path), path.name)
    top.allow("course", "late", "limits", "assignments")
    head = top.table("course")
    head.allow("id", "title")
    return Course(
        id=head.text("id", max_characters=128),
        title=head.text("title"),
        late=_late_policy(top.table("late", optional=True)),
        limits=_limits(top.table("limits", optional=True)),
        assignments=_assignments(top),
    )


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise CourseError(f"{path} does not exist; run from the course's folder, or name its course.toml") from None
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CourseError(f"{path.name}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"{path.name} is not valid TOML: {error}") from None


def _late_policy(late: Table) -> LatePolicy:
    late.allow("policy", "percent_per_day", "cap_percent")
    policy = late.choice("policy", _POLICIES, default="none")
    return LatePolicy(
        policy=policy,
        percent_per_day=late.number("percent_per_day", at_most=100, default=None if policy == "percent" else 0.0),
        cap_percent=late.number("cap_percent", at_most=100, default=100.0),
    )


def _limits(limits: Table) -> Limits:
    given = Limits()
    limits.allow("call_seconds", "submission_seconds", "cpu_seconds", "memory_bytes", "reply_bytes", "source_bytes", "notebook_bytes")
    return Limits(
        call_seconds=limits.number("call_seconds", above=0, default=given.call_seconds),
        submission_seconds=limits.number("submission_seconds", above=0, default=given.submission_seconds),
        cpu_seconds=limits.number("cpu_seconds", above=0, default=given.cpu_seconds),
        memory_bytes=limits.count("memory_bytes", default=given.memory_bytes),
        reply_bytes=limits.count("reply_bytes", default=given.reply_bytes),
        source_bytes=limits.count("source_bytes", default=given.source_bytes),
        notebook_bytes=limits.count("notebook_bytes", default=given.notebook_bytes),
    )


def _assignments(top: Table) -> tuple[Assignment, ...]:
    assignments = tuple(_assignment(entry) for entry in top.tables("assignments"))
    for part in ("folder", "number", "name"):
        value, count = Counter(getattr(assignment, part) for assignment in assignments).most_common(1)[0]
        if count > 1:
            clash = ", ".join(assignment.folder for assignment in assignments if getattr(assignment, part) == value)
            raise CourseError(f"{top.where}: {count} assignments share {value!r} ({clash}); expected each number and each name once")
    return assignments


def _assignment(entry: Table) -> Assignment:
    folder = entry.text("name")
    if not re.fullmatch(r"[0-9]{2}_[a-z][a-z0-9_]*", folder):
        raise entry.wrong("name", folder, 'two digits, "_" and a name in lower case, like "01_attention"')
    entry = Table(entry.values, f'{entry.where.split(",")[0]}, assignment "{folder}"')
    entry.allow("name", "title", "points", "weight", "due")
    due = entry.values.get("due")
    if due is not None and (not isinstance(due, datetime) or due.tzinfo is None):
        raise entry.wrong("due", due, "a date and time with its time zone and without quotes, like 2026-10-05T23:59:00Z")
    return Assignment(
        folder=folder,
        title=entry.text("title"),
        points=entry.number("points", above=0),
        weight=entry.number("weight", default=1.0),
        due=due.astimezone(UTC) if due is not None else None,
    )
