"""Results on a branch: brought back whole on an empty machine, added to, and never overwritten by a slower run."""

from __future__ import annotations

import subprocess

import pytest

from autograder.results.atomic import LedgerError
from autograder.results.branch import ResultsBranch


@pytest.fixture
def remote(tmp_path):
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "course.git")], check=True)
    return tmp_path / "course.git"


def written(folder, **files):
    for name, text in files.items():
        path = folder / "01_attention" / "ada" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def read(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_was_pushed_comes_back(remote, tmp_path):
    branch = ResultsBranch(str(remote))
    first = written(tmp_path / "first", **{"aa.json": "{}", "current": "aa\n", "posted": "x"})
    assert branch.push(first, "Results") is True
    assert branch.pull(tmp_path / "second") == 3
    assert read(tmp_path / "second") == read(first)


def test_a_branch_that_is_not_there_yet_is_empty(remote, tmp_path):
    assert ResultsBranch(str(remote)).pull(tmp_path / "empty") == 0


def test_nothing_new_is_not_pushed(remote, tmp_path):
    branch = ResultsBranch(str(remote))
    folder = written(tmp_path / "first", **{"aa.json": "{}"})
    branch.push(folder, "Results")
    assert branch.push(folder, "Results") is False


def test_a_later_run_adds_and_removes_nothing(remote, tmp_path):
    branch = ResultsBranch(str(remote))
    branch.push(written(tmp_path / "first", **{"aa.json": "1"}), "Results")
    branch.push(written(tmp_path / "second", **{"bb.json": "2"}), "Results")
    branch.pull(tmp_path / "third")
    assert read(tmp_path / "third") == {"01_attention/ada/aa.json": "1", "01_attention/ada/bb.json": "2"}


def test_only_reports_are_kept(remote, tmp_path):
    folder = written(tmp_path / "first", **{"aa.json": "1"})
    (folder / "feedback").mkdir()
    (folder / "feedback" / "x.html").write_text("derived")
    (folder / "grades.csv").write_text("derived")
    branch = ResultsBranch(str(remote))
    branch.push(folder, "Results")
    branch.pull(tmp_path / "second")
    assert list(read(tmp_path / "second")) == ["01_attention/ada/aa.json"]


def test_names_of_any_script_and_with_spaces_survive(remote, tmp_path):
    path = tmp_path / "first" / "01_attention" / "zoë núñez 🎓" / "aa.json"
    path.parent.mkdir(parents=True)
    path.write_text("1")
    branch = ResultsBranch(str(remote))
    branch.push(tmp_path / "first", "Results")
    branch.pull(tmp_path / "second")
    assert read(tmp_path / "second") == {"01_attention/zoë núñez 🎓/aa.json": "1"}


def test_a_repository_that_cannot_be_reached_is_said_without_its_token(tmp_path):
    branch = ResultsBranch("http://user:secret@127.0.0.1:1/x.git", token="ghs_token")
    with pytest.raises(LedgerError, match="cannot be used") as raised:
        branch.pull(tmp_path / "x")
    assert "secret" not in str(raised.value)
    assert "ghs_token" not in str(raised.value) + repr(raised.value.__cause__)


@pytest.mark.parametrize(("remote", "name"), [("--upload-pack=x", "results"), ("", "results"), ("x", "--force"), ("x", "a b")])
def test_what_names_no_branch_is_refused(remote, name):
    with pytest.raises(LedgerError, match="name no branch"):
        ResultsBranch(remote, name)
