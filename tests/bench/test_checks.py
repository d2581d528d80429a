"""One hidden test at a time, as the test cells of other graders run it."""

from __future__ import annotations

import pytest

from autograder.bench import checks
from autograder.bench.population import solutions


def definitions(kind: str) -> dict[str, object]:
    names: dict[str, object] = {"__name__": "attention"}
    exec(compile(dict(solutions())[kind], "attention.py", "exec", dont_inherit=True), names)
    return names


@pytest.fixture(autouse=True)
def _nothing_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_passed", set())


def test_every_hidden_test_passes_on_the_reference() -> None:
    right = definitions("reference")
    for test in checks.hidden_tests():
        checks.check(test.id, right)


def test_a_failed_test_raises_what_the_student_reads() -> None:
    with pytest.raises(AssertionError, match="not implemented yet"):
        checks.check(checks.hidden_tests()[0].id, definitions("stub"))


def test_a_test_that_needs_another_does_not_run_before_it() -> None:
    dependent = next(test for test in checks.hidden_tests() if test.requires)
    with pytest.raises(AssertionError, match=f"it needs {dependent.requires[0]}"):
        checks.check(dependent.id, definitions("reference"))
