"""Collecting from git repositories without any API: by path and over HTTP."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from autograder.collect.collect import NEWEST, Collection
from autograder.collect.from_git import GitSource
from autograder.collect.model import CollectError, Place
from autograder.collect.record import load_record
from autograder.course.course import load_course
from autograder.grading.paths import REPOSITORY

COURSE = load_course(REPOSITORY / "course.toml")
ATTENTION = COURSE.find("attention")
PATH = "assignments/01_attention/attention.py"


class Work:
    """A student's clone and the bare repository that it pushes to."""

    def __init__(self, folder):
        self.bare, self.clone = folder / "bare.git", folder / "clone"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare), cwd=folder)
        self.git("clone", "--quiet", str(self.bare), str(self.clone), cwd=folder)

    def git(self, *arguments, cwd=None):
        settings = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
        subprocess.run(["git", *settings, *arguments], cwd=cwd or self.clone, check=True, capture_output=True)

    def push(self, text, path=PATH):
        (self.clone / path).parent.mkdir(parents=True, exist_ok=True)
        (self.clone / path).write_text(text)
        self.git("checkout", "-q", "-B", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "work", "--date=2020-01-01T00:00:00Z")
        self.git("push", "-q", "origin", "main")


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path)


@pytest.fixture
def collect(tmp_path, work):
    submissions = tmp_path / "submissions"

    def run(at, until="due", where=None):
        place = Place("ada", where or str(work.bare))

        def seen(place):
            record = load_record(submissions / place.student, place.student)
            return record.versions() if record and record.where == place.where else ()

        source = GitSource([place], tmp_path / "cache", lambda: at, seen)
        return Collection(COURSE, (ATTENTION,), submissions, until).run(source)

    run.file = submissions / "ada" / "01_attention" / "attention.py"
    return run


def hours(number):
    return ATTENTION.due + timedelta(hours=number)


def test_a_repository_by_its_path(work, collect):
    work.push("first")
    assert collect(hours(-1)).new == 1
    assert collect.file.read_text() == "first"


def test_the_time_of_the_first_meeting_counts_and_not_the_commits_date(work, collect):
    work.push("in time")
    collect(hours(-1))
    work.push("dated back, pushed late")
    collect(hours(2))
    assert collect.file.read_text() == "in time"
    collect(hours(3), until=NEWEST)
    assert collect.file.read_text() == "dated back, pushed late"
    assert (collect.file.parent / "timestamp.txt").read_text().strip() == hours(2).isoformat()


def test_nothing_is_in_time_that_was_first_seen_after_it(work, collect):
    work.push("late")
    assert collect(hours(2)).absent == 1
    assert not collect.file.exists()


def test_a_second_run_fetches_nothing(work, collect, tmp_path):
    work.push("first")
    collect(hours(-2))
    shutil.rmtree(tmp_path / "cache")
    assert collect(hours(-1)).unchanged == 1
    assert not [path for path in (tmp_path / "cache").glob("*/objects/**/*") if path.is_file()]
    assert collect.file.read_text() == "first"


def test_an_empty_repository_is_not_handed_in(collect):
    outcome = collect(hours(-1))
    assert (outcome.absent, outcome.problems) == (1, [])


def test_a_link_or_a_submodule_is_left_out(work, collect):
    (work.clone / PATH).parent.mkdir(parents=True)
    (work.clone / PATH).symlink_to("/etc/passwd")
    work.push("x", "README.md")
    outcome = collect(hours(-1))
    assert outcome.absent == 1
    assert not collect.file.exists()


def test_a_large_file_is_cut_where_the_grader_refuses_it(work, collect):
    work.push("#" * (COURSE.limits.source_bytes + 1000))
    collect(hours(-1))
    assert collect.file.stat().st_size == COURSE.limits.source_bytes + 1


def test_hooks_and_settings_of_a_repository_do_not_run(work, collect, tmp_path):
    work.push("first")
    canary = tmp_path / "ran"
    for name in ("post-checkout", "pre-receive", "post-update", "reference-transaction"):
        hook = work.bare / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
        hook.chmod(0o755)
    work.git("config", "core.fsmonitor", f"touch {canary}", cwd=work.bare)
    assert collect(hours(-1)).new == 1
    assert not canary.exists()


@pytest.mark.parametrize("where", ["--upload-pack=touch /tmp/x", "ext::sh -c id", "/no/such/folder", "file:///etc"])
def test_what_is_no_address_is_refused(where, tmp_path):
    with pytest.raises(CollectError, match="neither the address of a git repository nor a folder"):
        GitSource([Place("ada", where)], tmp_path / "cache", lambda: datetime.now(UTC), lambda _place: ())


def test_a_repository_that_does_not_answer_is_said_without_its_password(collect):
    outcome = collect(hours(-1), where="http://user:secret@127.0.0.1:1/x.git")
    assert len(outcome.problems) == 1
    assert "secret" not in outcome.problems[0]
    assert "127.0.0.1" in outcome.problems[0]
