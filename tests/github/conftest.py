"""A forge, a course and a clock for the tests that talk to GitHub."""

from __future__ import annotations

import pytest
from forge import Forge

from autograder.github.client import GitHub, Pace
from autograder.github.tokens import GivenToken


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self):
        self.seconds = 1_760_000_000.0
        self.waited = []

    def now(self):
        return self.seconds

    def sleep(self, seconds):
        self.waited.append(seconds)
        self.seconds += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def forge(tmp_path):
    folder = tmp_path / "forge"
    folder.mkdir()
    with Forge(folder) as running:
        yield running
    assert running.violations == []


@pytest.fixture
def client(forge, clock):
    with GitHub(GivenToken("token-of-the-class"), forge.url, pace=Pace(sleep=clock.sleep, now=clock.now)) as github:
        yield github
