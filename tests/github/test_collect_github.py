"""Collecting from GitHub: the last push in time by the server's record, whatever a commit's own date says, and nothing but the files asked for."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from forge import Fault

from autograder.collect.collect import NEWEST, Collection
from autograder.collect.from_github import GitHubSource
from autograder.collect.model import CollectError
from autograder.course.course import load_course
from autograder.course.roster import Roster, Student
from autograder.github.client import GitHub, Pace
from autograder.github.tokens import GivenToken
from autograder.grading.paths import REPOSITORY

COURSE = load_course(REPOSITORY / "course.toml")
ATTENTION = COURSE.find("attention")
PATH = "assignments/01_attention/attention.py"
BEFORE, AFTER, LATER = ((ATTENTION.due + timedelta(hours=hours)).isoformat() for hours in (-30, 5, 60))


def roster(**students):
    return Roster(tuple(Student(name, repository=f"course/transformer-{name}", github=name) for name in students))


@pytest.fixture
def ada(forge):
    return forge.repository("course/transformer-ada")


@pytest.fixture
def collect(tmp_path, client):
    def run(*, until="due", assignments=(ATTENTION,), members=None, students=None):
        members = members or roster(ada=1)
        return Collection(COURSE, assignments, tmp_path / "submissions", until, members).run(GitHubSource(client, roster=members), students)

    run.folder = tmp_path / "submissions"
    return run


def text(collect, student="ada"):
    return (collect.folder / student / "01_attention" / "attention.py").read_text()


def test_the_last_push_in_time_counts(ada, collect):
    ada.push({PATH: "first"}, BEFORE)
    ada.push({PATH: "late"}, AFTER)
    outcome = collect()
    assert (outcome.new, outcome.problems) == (1, [])
    assert text(collect) == "first"


def test_a_commit_dated_back_gains_nothing(ada, collect):
    ada.push({PATH: "in time"}, BEFORE)
    ada.push({PATH: "dated back"}, AFTER, date="2020-01-01T00:00:00Z")
    collect()
    assert text(collect) == "in time"


def test_a_force_push_after_the_due_time_takes_nothing_away(ada, collect):
    ada.push({PATH: "in time"}, BEFORE)
    ada.push({"README.md": "gone"}, AFTER, force=True)
    collect()
    assert text(collect) == "in time"


def test_the_newest_counts_when_asked_with_the_time_of_its_arrival(ada, collect):
    ada.push({PATH: "in time"}, BEFORE)
    ada.push({PATH: "late"}, AFTER)
    ada.push({PATH: "late", "notes.txt": "for another assignment"}, LATER)
    collect(until=NEWEST)
    assert text(collect) == "late"
    assert (collect.folder / "ada" / "01_attention" / "timestamp.txt").read_text().strip() == AFTER


def test_a_push_for_another_assignment_makes_none_late(ada, collect):
    ada.push({PATH: "in time"}, BEFORE)
    ada.push({"assignments/02_positional_encoding/positional_encoding.py": "x"}, LATER)
    collect(until=NEWEST)
    assert (collect.folder / "ada" / "01_attention" / "timestamp.txt").read_text().strip() == BEFORE


def test_an_extension_moves_the_time(ada, collect):
    ada.push({PATH: "in time"}, BEFORE)
    ada.push({PATH: "within the extension"}, AFTER)
    collect(members=Roster((Student("ada", repository="course/transformer-ada", extension_days=1),)))
    assert text(collect) == "within the extension"


def test_one_time_for_all_can_be_given(ada, collect):
    ada.push({PATH: "in time"}, BEFORE)
    ada.push({PATH: "late"}, AFTER)
    ada.push({PATH: "later"}, LATER)
    collect(until=ATTENTION.due + timedelta(hours=6))
    assert text(collect) == "late"


def test_what_did_not_change_is_not_fetched_again(forge, ada, collect):
    ada.push({PATH: "first"}, BEFORE)
    collect()
    fetched = len(forge.asked("tarball"))
    outcome = collect()
    assert (outcome.unchanged, outcome.new) == (1, 0)
    assert len(forge.asked("tarball")) == fetched == 1


def test_one_archive_serves_all_assignments(forge, ada, collect):
    ada.push({PATH: "a", "assignments/08_rope/rope.py": "b", "03_multi_head_attention/multi_head_attention.ipynb": "{}"}, BEFORE)
    outcome = collect(assignments=COURSE.assignments)
    assert (outcome.new, outcome.absent) == (3, 7)
    assert len(forge.asked("tarball")) == 1
    assert collect(assignments=COURSE.assignments).unchanged == 3
    assert len(forge.asked("tarball")) == 1


def test_a_file_that_was_damaged_here_is_fetched_again(ada, collect):
    ada.push({PATH: "first"}, BEFORE)
    collect()
    (collect.folder / "ada" / "01_attention" / "attention.py").write_text("damaged")
    collect()
    assert text(collect) == "first"


def test_nothing_but_the_files_asked_for_is_written(ada, collect):
    others = {".github/workflows/x.yml": "x", "conftest.py": "x", "pytest.ini": "x", "evil.pth": "x", "assignments/01_attention/conftest.py": "x"}
    ada.push({PATH: "mine", **others}, BEFORE)
    collect()
    written = {path.relative_to(collect.folder).as_posix() for path in collect.folder.rglob("*") if path.is_file()}
    assert written == {"ada/.collected.json", "ada/01_attention/attention.py", "ada/01_attention/timestamp.txt"}


def test_a_link_is_left_out_and_said(ada, collect):
    ada.push({PATH: ("link", "/etc/passwd")}, BEFORE)
    outcome = collect()
    assert outcome.absent == 1
    assert not (collect.folder / "ada" / "01_attention").exists()


def test_a_deleted_repository_is_said_and_keeps_what_was_collected(ada, collect):
    ada.push({PATH: "first"}, BEFORE)
    collect()
    ada.gone = True
    outcome = collect()
    assert outcome.problems == ["ada: course/transformer-ada does not exist, or the token may not see it"]
    assert text(collect) == "first"


def test_an_empty_repository_is_not_handed_in(ada, collect):
    outcome = collect()
    assert (outcome.absent, outcome.problems) == (1, [])


def test_one_repository_that_fails_leaves_the_others(forge, ada, collect):
    ada.push({PATH: "ada's"}, BEFORE)
    forge.repository("course/transformer-bo").push({PATH: "bo's"}, BEFORE)
    forge.faults.append(Fault("transformer-ada/activity", 500, times=99))
    outcome = collect(members=roster(ada=1, bo=1))
    assert len(outcome.problems) == 1
    assert "ada" in outcome.problems[0]
    assert text(collect, "bo") == "bo's"


def test_some_students_alone_are_collected_and_a_stranger_is_named(forge, collect, ada):
    for login in ("bo", "cy"):
        forge.repository(f"course/transformer-{login}").push({PATH: login}, BEFORE)
    ada.push({PATH: "ada"}, BEFORE)
    members = roster(ada=1, bo=1, cy=1)
    assert collect(members=members, students=("ada", "cy")).students == 2
    assert not (collect.folder / "bo").exists()
    with pytest.raises(CollectError, match="there is no student 'dee' to collect from"):
        collect(members=members, students=("ada", "dee"))


def test_a_token_that_is_refused_ends_the_run(forge, ada, tmp_path):
    with GitHub(GivenToken("wrong"), forge.url, pace=Pace(sleep=lambda _s: None)) as github, pytest.raises(CollectError, match="401"):
        Collection(COURSE, (ATTENTION,), tmp_path / "s", roster=roster(ada=1)).run(GitHubSource(github, roster=roster(ada=1)))


def test_three_hundred_students_over_several_pages(forge, client, tmp_path):
    one = forge.repository("course/transformer-s000")
    one.push({PATH: "shared"}, BEFORE)
    for number in range(1, 300):
        other = forge.repository(f"course/transformer-s{number:03}")
        (other.path / "objects" / "info").mkdir(parents=True, exist_ok=True)
        (other.path / "objects" / "info" / "alternates").write_text(f"{one.path / 'objects'}\n")
        other.activity = [dict(entry) for entry in one.activity]
    forge.repository("course/unrelated")
    outcome = Collection(COURSE, (ATTENTION,), tmp_path / "s").run(GitHubSource(client, organisation="course", prefix="transformer-"))
    assert (outcome.students, outcome.new, outcome.problems) == (300, 300, [])
    assert sorted(path.name for path in (tmp_path / "s").iterdir())[-1] == "s299"


def test_an_organisation_with_a_roster_gives_its_students_their_ids(forge, client, ada, tmp_path):
    ada.push({PATH: "first"}, BEFORE)
    forge.repository("course/transformer-stranger")
    members = Roster((Student("a.lovelace", github="Ada"),))
    source = GitHubSource(client, roster=members, organisation="course", prefix="transformer-")
    assert [(place.student, place.where) for place in source.places()] == [("a.lovelace", "course/transformer-ada")]


def test_many_pushes_over_several_pages_are_all_seen(ada, collect):
    ada.push({PATH: "in time"}, BEFORE)
    head = ada.activity[-1]
    ada.activity = [dict(head) for _ in range(250)]
    ada.push({PATH: "the last"}, (ATTENTION.due - timedelta(minutes=1)).isoformat())
    collect()
    assert text(collect) == "the last"


def test_the_record_says_where_a_score_belongs(ada, collect):
    commit = ada.push({PATH: "first"}, BEFORE)
    collect()
    record = json.loads((collect.folder / "ada" / ".collected.json").read_text())
    assert record["where"] == "course/transformer-ada"
    assert record["assignments"]["01_attention"]["commit"] == commit
