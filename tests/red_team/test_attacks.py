"""Every way to cheat that graders are known to fall for, and those that the authors of this one thought of, under all layers at once.

A file in `submissions/` is appended to a submission that is wrong in earnest (see `trial.BASES`), so that it changes as little as it
needs. An attack that got hold of something says so by ending its import.
"""

from __future__ import annotations

import re

import pytest
from expectations import EXPECTED
from targets import Targets
from trial import Trial, aim_of, attempt, names
from warm_grader import grade, sandbox_mode, warm_grader

from autograder.reports.model import Status


def test_every_attack_says_what_it_tries_and_has_its_expectation() -> None:
    assert names() == sorted(EXPECTED)
    assert len(EXPECTED) >= 60
    for name in names():
        assert aim_of(name).endswith("."), name
    assert len({aim_of(name) for name in names()}) == len(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_attack_gains_nothing_and_leaves_nothing(name: str, targets: Targets) -> None:
    trial = attempt(name, EXPECTED[name], targets, warm_grader(), sandbox_mode())
    assert trial == Trial(trial.report, ())


@pytest.mark.parametrize("text", ["x = " + "-" * 20_000 + "1", "x = " + "a." * 50_000 + "b", "x = " + "(" * 300 + ")" * 300, "[" * 50_000])
def test_a_source_that_hurts_a_parser_hurts_nobody_else(text: str) -> None:
    report = grade(text)
    assert report.status is Status.BROKEN
    assert re.search("cannot be parsed|not valid Python", report.message)
