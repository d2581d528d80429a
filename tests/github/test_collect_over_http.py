"""Collecting with git alone from a forge over smart HTTP: no API is asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from autograder.collect.collect import Collection
from autograder.collect.from_git import GitSource
from autograder.collect.model import Place
from autograder.collect.record import load_record
from autograder.course.course import load_course
from autograder.grading.paths import REPOSITORY

COURSE = load_course(REPOSITORY / "course.toml")
ATTENTION = COURSE.find("attention")
PATH = "assignments/01_attention/attention.py"


@pytest.fixture
def collect(forge, tmp_path):
    submissions = tmp_path / "submissions"

    def seen(place):
        record = load_record(submissions / place.student, place.student)
        return record.versions() if record and record.where == place.where else ()

    def run(*students, hours=-1):
        places = [Place(student, forge.git_url(f"course/{student}")) for student in students]
        at = ATTENTION.due + timedelta(hours=hours)
        return Collection(COURSE, (ATTENTION,), submissions).run(GitSource(places, tmp_path / "cache", lambda: at, seen))

    run.submissions = submissions
    return run


def test_a_class_is_collected_by_commit(forge, collect):
    for student in ("ada", "bo"):
        forge.repository(f"course/{student}").push({PATH: student, "conftest.py": "x"}, "2026-10-01T10:00:00Z")
    outcome = collect("ada", "bo")
    assert (outcome.new, outcome.problems) == (2, [])
    assert (collect.submissions / "bo" / "01_attention" / "attention.py").read_text() == "bo"
    assert not list(collect.submissions.rglob("conftest.py"))
    assert forge.requests == []


def test_a_force_push_after_the_due_time_takes_nothing_away(forge, collect):
    ada = forge.repository("course/ada")
    ada.push({PATH: "in time"}, "2026-10-01T10:00:00Z")
    collect("ada")
    ada.push({"README.md": "gone"}, "2026-11-01T10:00:00Z", force=True)
    assert collect("ada", hours=5).unchanged == 1
    assert (collect.submissions / "ada" / "01_attention" / "attention.py").read_text() == "in time"


def test_a_deleted_and_an_empty_repository_leave_the_others(forge, collect):
    forge.repository("course/empty")
    forge.repository("course/gone").gone = True
    forge.repository("course/ada").push({PATH: "here"}, "2026-10-01T10:00:00Z")
    outcome = collect("gone", "empty", "ada")
    assert (outcome.new, outcome.absent, len(outcome.problems)) == (1, 1, 1)
    assert outcome.problems[0].startswith("gone: http://127.0.0.1")
