"""One playing field for all attacks of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from targets import Targets
from trial import prepare
from warm_grader import sandbox_mode, warm_grader


@pytest.fixture(scope="module")
def targets() -> Iterator[Targets]:
    targets = Targets.set_up()
    yield targets
    targets.close()


@pytest.fixture(scope="module", autouse=True)
def _prepared() -> Iterator[None]:
    if sandbox_mode() != "require":
        pytest.skip("this machine cannot isolate a submission: `autograder doctor` says what is missing")
    grader = warm_grader()
    prepare(grader)
    yield
    vars(grader).pop("_diagnostician", None)
