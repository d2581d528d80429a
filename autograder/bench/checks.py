"""One hidden test at a time, on definitions that live in this very process: what the test cells of other graders call.

So every tool runs the same checks: the tool brings the submission's definitions about in its own way, and counts the
points in its own way.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from typing import Any

from autograder.bench.population import NAME
from autograder.checking.submission import LocalSubmission
from autograder.grading.seeds import seed_for_test
from autograder.grading.suite import ExpectedTest, Suite

SEED = "benchmark"
_passed: set[str] = set()


@cache
def hidden_suite() -> Suite:
    return Suite(NAME)


def hidden_tests() -> tuple[ExpectedTest, ...]:
    return hidden_suite().manifest


def submission_of(definitions: Mapping[str, Any]) -> LocalSubmission:
    module = types.ModuleType(NAME)
    module.__dict__.update(definitions)
    return LocalSubmission(module)


def check(test_id: str, definitions: Mapping[str, Any]) -> None:
    """Raise AssertionError unless the hidden test passes on `definitions`, and those that it requires passed before."""
    suite = hidden_suite()
    test = next(test for test in suite.manifest if test.id == test_id)
    missing = [name for name in test.requires if name not in _passed]
    if missing:
        raise AssertionError(f"not run: it needs {', '.join(missing)} to pass first")
    raised = suite.run_one(test_id, submission_of(definitions), seed_for_test(SEED, test_id)).raised
    if raised is not None:
        raise AssertionError(str(raised)) from None
    _passed.add(test_id)
