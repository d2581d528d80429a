"""What came of checking a solution: the one structure between running public tests and putting it in words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NOT_IMPLEMENTED = "not implemented yet"


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_IMPLEMENTED = "not implemented yet"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Place:
    """A line of code: where it is, in words, and its text."""

    where: str
    text: str


@dataclass(frozen=True)
class Problem:
    """Why a test did not pass. `frames` are the student's own lines on the way to the error, the deepest last."""

    reason: str
    hint: str | None = None
    frames: tuple[Place, ...] = ()
    asked_for: tuple[Place, ...] = ()  # the functions that the test used, when no line of theirs raised anything
    test: Place | None = None


@dataclass(frozen=True)
class CheckedTest:
    name: str
    title: str
    outcome: Outcome
    problem: Problem | None = None
    needs: tuple[str, ...] = ()  # titles of the tests that must pass before this one says anything
    printed: str = ""


@dataclass(frozen=True)
class Interruption:
    """Where Ctrl-C stopped the student's code; `test` is the title of the test that ran."""

    test: str
    place: Place | None


@dataclass(frozen=True)
class Checked:
    """What came of a run. `error` says why there is nothing to show."""

    tests: tuple[CheckedTest, ...]
    interruption: Interruption | None = None
    error: str | None = None

    @property
    def passed(self) -> int:
        return sum(test.outcome is Outcome.PASSED for test in self.tests)
