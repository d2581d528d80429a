"""One grading to be done, as plain data: it may be sent to another process or machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autograder.course.course import Limits
from autograder.submissions.read import Reading

SandboxMode = Literal["require", "best", "off"]


@dataclass(frozen=True)
class Task:
    """assignment is the folder's name, "01_attention"; fingerprint will name the report."""

    student: str
    assignment: str
    reading: Reading
    fingerprint: str
    seed: str
    attempt: int
    limits: Limits
    sandbox: SandboxMode

    @property
    def name(self) -> str:
        return self.assignment.split("_", 1)[1]
