"""One grader for all tests of the grader: its forking process starts once, holding no more than it would for a class."""

from __future__ import annotations

import atexit
import hashlib
import os
import secrets
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from autograder.course.course import Limits
from autograder.grading.grade import Grader
from autograder.grading.task import SandboxMode, Task
from autograder.hidden_tests.rules import rules_of
from autograder.reports.model import Report, Status
from autograder.sandbox.errors import SandboxError
from autograder.submissions.read import Reading

ROOT = Path(__file__).resolve().parents[2]
# In the grader's memory and environment before any worker's process starts.
CANARY = f"canary-of-the-grader-{secrets.token_hex(16)}"
CANARY_VARIABLE = "RED_TEAM_CANARY"
os.environ[CANARY_VARIABLE] = CANARY
torch.set_num_threads(1)

LIMITS = replace(Limits(), call_seconds=10.0, submission_seconds=60.0, source_bytes=1_000_000)


@cache
def warm_grader() -> Grader:
    grader = Grader()
    atexit.register(grader.close)
    return grader


@cache
def sandbox_mode() -> SandboxMode:
    """require where this machine isolates submissions, else best."""
    try:
        warm_grader()._zygotes.of("require", rules_of("attention"))
    except SandboxError:
        return "best"
    return "require"


def reading_of(text: str) -> Reading:
    return Reading(Status.GRADED, hashlib.sha256(text.encode()).hexdigest(), text)


def grade(reading: Reading | str, assignment: str = "01_attention", limits: Limits = LIMITS) -> Report:
    """The report of a submission, given as a reading or its text."""
    reading = reading_of(reading) if isinstance(reading, str) else reading
    return warm_grader().grade(Task("bob", assignment, reading, "fingerprint", "5eed" * 8, 1, limits, sandbox_mode()))
