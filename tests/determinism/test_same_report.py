"""A short form of `python -m tests.determinism`: two graders, other isolation, another order, the same bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from warm_grader import LIMITS, reading_of, sandbox_mode

from autograder.grading.grade import Grader
from autograder.grading.task import SandboxMode, Task
from autograder.reports.model import to_json
from tests.determinism.again import ALL, SANDBOXES, Surroundings, bytes_to_compare, differences
from tests.determinism.handed_in import SUBMISSIONS

TITLES = ("draws", "wrong", "tells addresses", "crashes")


def reports(mode: SandboxMode, titles: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Graded one after the other by a grader of their own, and with it forking processes of their own."""
    found = {}
    with Grader() as grader:
        for title in titles:
            assignment, _, content = SUBMISSIONS[title]
            task = Task(title, assignment, reading_of(content().decode()), "fingerprint", "5eed" * 8, 1, LIMITS, mode)
            found[title] = json.loads(to_json(grader.grade(task)))
    return found


def test_reports_do_not_depend_on_isolation_order_or_process() -> None:
    first, again = reports(sandbox_mode(), TITLES), reports("off", TITLES[::-1])
    for title in TITLES:
        assert list(differences(first[title], again[title])) == []
        assert bytes_to_compare(first[title]) == bytes_to_compare(again[title])
    assert first["draws"]["score"] < first["wrong"]["score"]  # what it draws is in its answers


@pytest.mark.parametrize("changed", [{"score": 1.0}, {"tests": [{"message": "other"}]}, {"flags": ["more"]}, {"seed": "1"}])
def test_a_difference_is_seen(changed: dict[str, Any]) -> None:
    report = {"score": 2.0, "tests": [{"message": "one"}], "flags": [], "seed": "0", "wall_seconds": 1.0, "student": "ann"}
    other = {**report, **changed, "wall_seconds": 2.0, "student": "bob"}
    assert bytes_to_compare(report) != bytes_to_compare(other)
    assert len(list(differences(report, other))) == 1
    assert bytes_to_compare(report) == bytes_to_compare({**report, "wall_seconds": 2.0})


def test_fifty_runs_meet_every_isolation_with_every_number_of_jobs() -> None:
    drawn = [Surroundings.drawn(number, ALL) for number in range(50)]
    assert {(run.sandbox, run.jobs) for run in drawn} == {(sandbox, jobs) for sandbox in SANDBOXES for jobs in (1, 2)}
    assert len({run.order for run in drawn}) > 45
    assert len({run.hash_seed for run in drawn}) == 50
