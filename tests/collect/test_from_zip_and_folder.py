"""Collecting from what learning management systems give out, and from folders."""

from __future__ import annotations

import zipfile

import pytest

from autograder.collect.collect import Collection
from autograder.collect.from_folder import FolderSource
from autograder.collect.from_zip import ZipSource
from autograder.collect.model import CollectError
from autograder.course.course import load_course
from autograder.course.roster import Roster, Student
from autograder.grading.paths import REPOSITORY

COURSE = load_course(REPOSITORY / "course.toml")
ATTENTION = COURSE.find("attention")
ROSTER = Roster(
    (
        Student("ada", "Ada", "Lovelace", "ada@example.org"),
        Student("zoe", "Zoë", "Núñez", "zoe.nunez@example.org"),
        Student("jun.park", "Jun", "Park", "jpark@example.org"),
    )
)


def zipped(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def collected(tmp_path, source):
    outcome = Collection(COURSE, (ATTENTION,), tmp_path / "submissions").run(source)
    found = {path.relative_to(tmp_path / "submissions").as_posix(): path.read_text() for path in (tmp_path / "submissions").rglob("attention.*")}
    return outcome, found


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (
            {"Ada Lovelace_4711_assignsubmission_file_/attention.py": "a", "Zoë Núñez_4712_assignsubmission_file/attention.ipynb": "z"},
            {"ada/01_attention/attention.py": "a", "zoe/01_attention/attention.ipynb": "z"},
        ),
        (
            {
                "lovelaceada_4711_88001_attention.py": "old",
                "lovelaceada_LATE_4711_88002_attention-2.py": "new",
                "nunezzoe_4712_88003_attention.py": "z",
            },
            {"ada/01_attention/attention.py": "new", "zoe/01_attention/attention.py": "z"},
        ),
        (
            {"Week 1_jpark_attempt_2026-10-05-12-30-45_attention.py": "j", "Week 1_jpark_attempt_2026-10-05-12-30-45.txt": "about"},
            {"jun.park/01_attention/attention.py": "j"},
        ),
        (
            {"ada/attention.py": "a", "zoe/01_attention/attention.py": "z"},
            {"ada/01_attention/attention.py": "a", "zoe/01_attention/attention.py": "z"},
        ),
    ],
    ids=["moodle", "canvas", "blackboard", "folders"],
)
def test_each_systems_names_are_understood(tmp_path, entries, expected):
    _, found = collected(tmp_path, ZipSource(zipped(tmp_path / "x.zip", entries), ATTENTION, ROSTER))
    assert found == expected


def test_a_stranger_is_named(tmp_path):
    source = ZipSource(zipped(tmp_path / "x.zip", {"ada/attention.py": "a", "mallory/attention.py": "m"}), ATTENTION, ROSTER)
    assert source.notes == ["mallory handed in attention.py and is not on the roster: collect again after you added the student"]


def test_two_students_of_one_name_are_not_guessed(tmp_path):
    twins = Roster((Student("a1", "Ada", "Lovelace"), Student("a2", "Ada", "Lovelace")))
    source = ZipSource(zipped(tmp_path / "x.zip", {"Ada Lovelace_1_assignsubmission_file_/attention.py": "a"}), ATTENTION, twins)
    assert len(source.notes) == 1
    with pytest.raises(CollectError, match=r"holds no attention\.py"):
        source.places()


def test_paths_in_an_archive_lead_nowhere(tmp_path):
    names = ["../../evil/attention.py", "/etc/attention.py", "..\\..\\attention.py", "ada/../../attention.py"]
    archive = zipped(tmp_path / "x.zip", dict.fromkeys(names, "x") | {"ada/attention.py": "a"})
    collected(tmp_path, ZipSource(archive, ATTENTION))
    outside = [path for path in tmp_path.rglob("attention.py") if not path.is_relative_to(tmp_path / "submissions")]
    assert outside == []


def test_a_bomb_is_cut(tmp_path):
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writing:
        writing.writestr("ada/attention.py", b"0" * 200_000_000)
    _, found = collected(tmp_path, ZipSource(archive, ATTENTION))
    assert len(found["ada/01_attention/attention.py"]) == COURSE.limits.source_bytes + 1


@pytest.mark.parametrize("content", [b"no zip", b"", b"PK\x03\x04broken"])
def test_what_is_no_zip_is_said(tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(CollectError, match="is not a zip file"):
        ZipSource(tmp_path / "x.zip", ATTENTION)


def test_folders_are_taken_with_their_times(tmp_path):
    for student, place in (("ada", "01_attention"), ("zoe", "assignments/01_attention"), ("jun", ".")):
        folder = tmp_path / "class" / student / place
        folder.mkdir(parents=True)
        (folder / "attention.py").write_text(student)
    (tmp_path / "class" / "ada" / "01_attention" / "timestamp.txt").write_text("2026-10-05 10:00:00 UTC\n")
    outcome, found = collected(tmp_path, FolderSource(tmp_path / "class"))
    assert outcome.new == 3
    assert found == {f"{name}/01_attention/attention.py": name for name in ("ada", "zoe", "jun")}
    assert (tmp_path / "submissions" / "ada" / "01_attention" / "timestamp.txt").read_text() == "2026-10-05 10:00:00 UTC\n"


def test_links_in_a_folder_are_not_followed(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "attention.py").write_text("secret")
    for student in ("ada", "zoe"):
        (tmp_path / "class" / student).mkdir(parents=True)
    (tmp_path / "class" / "ada" / "01_attention").symlink_to(tmp_path / "secret")
    (tmp_path / "class" / "zoe" / "01_attention").mkdir()
    (tmp_path / "class" / "zoe" / "01_attention" / "attention.py").symlink_to(tmp_path / "secret" / "attention.py")
    (tmp_path / "class" / "mal").symlink_to(tmp_path / "secret")
    outcome, found = collected(tmp_path, FolderSource(tmp_path / "class"))
    assert (outcome.students, outcome.absent, found) == (2, 2, {})
