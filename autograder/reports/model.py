"""The report of one graded submission: the one structure that everything else derives from.

Stored as JSON, schema documented in docs/report_schema.md. A report holds nothing that a student may not know except
the seed, and no text that a submission wrote.
"""

from __future__ import annotations

import enum
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

SCHEMA_VERSION = 1


class Outcome(enum.StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not_run"


class Status(enum.StrEnum):
    GRADED = "graded"  # the suite ran
    MISSING = "missing"  # nothing was handed in
    UNREADABLE = "unreadable"  # something is there that cannot be read as a submission
    BROKEN = "broken"  # it was read, but does not parse or load; no test ran


@dataclass(frozen=True)
class Diagnosis:
    """The known mistake whose answers equal the student's."""

    name: str
    says: str


@dataclass(frozen=True)
class TestResult:
    """One hidden test. `message` is shown to the student as it stands."""

    __test__ = False

    id: str
    title: str
    outcome: Outcome
    points: float
    max_points: float
    message: str = ""
    misconception: Diagnosis | None = None
    line: int | None = None  # in the student's own file, or in what was taken out of a notebook
    place: str = ""  # in a notebook: "line 3 of cell padding_mask"


@dataclass(frozen=True)
class Isolation:
    """What held the worker while it ran: the mode asked for and the layers that were active."""

    mode: str  # require, best or off
    layers: tuple[str, ...]
    missing: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return "+".join(self.layers) if self.layers else "none"


@dataclass(frozen=True)
class Report:
    """One submission of one assignment, graded once."""

    student: str
    assignment: str
    status: Status
    score: float
    max_score: float
    tests: tuple[TestResult, ...]
    fingerprint: str  # of everything that the verdict depends on; names the report's file
    submission_sha256: str  # of the submitted bytes; "" when nothing could be read
    suite_sha256: str
    grader_sha256: str
    torch_version: str
    seed: str
    sandbox: Isolation
    attempt: int
    graded_at: str  # ISO 8601, UTC
    submitted_at: str | None  # ISO 8601, from timestamp.txt
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    message: str = ""  # about the whole submission: why it is missing, unreadable or broken
    flags: tuple[str, ...] = ()  # for the instructor's review
    notes: tuple[str, ...] = ()  # how a notebook was read, for the student too
    schema_version: int = field(default=SCHEMA_VERSION)


class SchemaError(ValueError):
    """A report file that this version cannot read."""


def to_json(report: Report) -> str:
    return json.dumps(asdict(report), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def from_json(text: str) -> Report:
    """Read a report back. Raises SchemaError with the reason when it is not one of this schema version."""
    try:
        raw: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise SchemaError(f"not JSON: {error}") from None
    if not isinstance(raw, dict) or raw.get("schema_version") != SCHEMA_VERSION:
        version = raw.get("schema_version") if isinstance(raw, dict) else None
        raise SchemaError(f"schema_version is {version!r}; this grader reads {SCHEMA_VERSION}")
    try:
        tests = tuple(
            TestResult(
                **{
                    **test,
                    "outcome": Outcome(test["outcome"]),
                    "misconception": Diagnosis(**test["misconception"]) if test["misconception"] else None,
                }
            )
            for test in raw["tests"]
        )
        sandbox = Isolation(raw["sandbox"]["mode"], tuple(raw["sandbox"]["layers"]), tuple(raw["sandbox"]["missing"]))
        known = {entry.name for entry in fields(Report)}
        return Report(
            **{
                **{name: value for name, value in raw.items() if name in known},
                "status": Status(raw["status"]),
                "tests": tests,
                "sandbox": sandbox,
                "flags": tuple(raw["flags"]),
                "notes": tuple(raw.get("notes", ())),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaError(f"not a report: {error!r}") from None
