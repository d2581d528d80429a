"""Releasing again: what the student has not changed is updated, what they wrote is theirs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from autograder.release.folder import Folder
from autograder.release.manifest import Manifest
from autograder.release.update import Plan, plan_update

FIRST = {"README.md": b"read me", "a/one.py": b"stub one", "a/two.py": b"stub two", "old/page.md": b"old"}
SECOND = {"README.md": b"read me again", "a/one.py": b"stub one, better", "a/two.py": b"stub two", "new/page.md": b"new"}


def deliver(out: Path, files: Mapping[str, bytes]) -> Plan:
    """One release, without the guard."""
    folder = Folder(out)
    before = folder.manifest("course")
    plan = plan_update(files, before, folder.look)
    folder.apply(plan, before, Manifest("course", ("01_one",), plan.files))
    return plan


def content(out: Path) -> dict[str, bytes]:
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    del found[".release.json"]
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    deliver(tmp_path / "out", FIRST)
    return tmp_path / "out"


def test_what_nobody_changed_becomes_the_new_release(out: Path) -> None:
    plan = deliver(out, SECOND)
    assert content(out) == SECOND
    assert plan.remove == ["old/page.md"]
    assert not (out / "old").exists()
    assert plan.kept == {}


def test_the_same_release_again_changes_nothing(out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    plan = deliver(out, FIRST)
    assert not plan.write
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_changed_file_is_kept_and_the_new_version_lies_beside_it(out: Path) -> None:
    (out / "a/one.py").write_bytes(b"my solution")
    plan = deliver(out, SECOND)
    assert content(out) == {**SECOND, "a/one.py": b"my solution", "a/one.py.new": b"stub one, better"}
    assert "one.py.new" in plan.kept["a/one.py"]
    deliver(out, SECOND)
    assert content(out)["a/one.py.new"] == b"stub one, better"


def test_a_changed_file_without_a_newer_version_is_just_kept(out: Path) -> None:
    (out / "a/two.py").write_bytes(b"my solution")
    plan = deliver(out, SECOND)
    assert content(out) == {**SECOND, "a/two.py": b"my solution"}
    assert "nothing newer" in plan.kept["a/two.py"]


def test_a_new_version_that_was_read_and_deleted_comes_back_only_when_there_is_a_newer_one(out: Path) -> None:
    (out / "a/one.py").write_bytes(b"my solution")
    deliver(out, SECOND)
    (out / "a/one.py.new").unlink()
    deliver(out, SECOND)
    assert "a/one.py.new" not in content(out)
    deliver(out, {**SECOND, "a/one.py": b"third"})
    assert content(out)["a/one.py.new"] == b"third"


def test_taking_the_new_version_over_makes_its_copy_go(out: Path) -> None:
    (out / "a/one.py").write_bytes(b"my solution")
    deliver(out, SECOND)
    (out / "a/one.py.new").rename(out / "a/one.py")
    deliver(out, SECOND)
    assert content(out) == SECOND
    (out / "a/one.py").write_bytes(b"mine again")
    deliver(out, SECOND)
    assert content(out) == {**SECOND, "a/one.py": b"mine again"}


def test_a_deleted_file_stays_deleted(out: Path) -> None:
    (out / "a/one.py").unlink()
    for _ in range(2):
        plan = deliver(out, SECOND)
        assert "a/one.py" not in content(out)
        assert "deleted by the student" in plan.kept["a/one.py"]


def test_files_of_the_student_are_never_touched(out: Path) -> None:
    (out / "a/mine.py").write_bytes(b"mine")
    (out / "new").mkdir()
    (out / "new/page.md").write_bytes(b"my page, which the course now has too")
    plan = deliver(out, SECOND)
    assert content(out) == {**SECOND, "a/mine.py": b"mine", "new/page.md": b"my page, which the course now has too", "new/page.md.new": b"new"}
    assert "new/page.md" in plan.kept


def test_a_file_that_left_the_release_is_kept_when_it_was_changed(out: Path) -> None:
    (out / "old/page.md").write_bytes(b"with my notes")
    plan = deliver(out, SECOND)
    assert content(out)["old/page.md"] == b"with my notes"
    assert "the student's own" in plan.kept["old/page.md"]
    assert "old/page.md" not in deliver(out, SECOND).kept


def test_a_folder_of_the_student_in_a_file_s_place_is_left_alone(out: Path) -> None:
    (out / "README.md").unlink()
    (out / "README.md").mkdir()
    (out / "README.md/mine").write_bytes(b"mine")
    plan = deliver(out, SECOND)
    assert content(out)["README.md/mine"] == b"mine"
    assert "README.md" in plan.kept


@pytest.mark.parametrize("steps", range(9))
def test_killed_at_any_step_and_run_again_it_ends_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    out = tmp_path / "out"
    deliver(out, FIRST)
    (out / "a/one.py").write_bytes(b"my solution")
    (out / "a/two.py").unlink()
    _kill_after(monkeypatch, steps, out, SECOND)
    assert content(out)["a/one.py"] == b"my solution"
    deliver(out, {**SECOND, "a/two.py": b"newer still"})
    expected = {**SECOND, "a/one.py": b"my solution", "a/one.py.new": b"stub one, better"}
    del expected["a/two.py"]
    assert content(out) == expected


@pytest.mark.parametrize("steps", range(7))
def test_a_first_release_that_was_killed_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    _kill_after(monkeypatch, steps, tmp_path / "out", FIRST)
    deliver(tmp_path / "out", SECOND)
    assert content(tmp_path / "out") == SECOND


class KilledError(BaseException):
    pass


def _kill_after(monkeypatch: pytest.MonkeyPatch, steps: int, out: Path, files: Mapping[str, bytes]) -> None:
    """Stop before the next change to the folder once `steps` were made, with a half-written file left behind."""
    left = [steps]

    def counted(name: str) -> None:
        original = getattr(Folder, name)

        def step(self: Folder, path: str, *args: bytes) -> None:
            if left[0] == 0:
                if self.path.is_dir():
                    (self.path / ".release-0123456789abcdef.tmp").write_bytes(b"half")
                raise KilledError
            left[0] -= 1
            original(self, path, *args)

        patch.setattr(Folder, name, step)

    with monkeypatch.context() as patch:
        counted("_write")
        counted("_remove")
        try:
            deliver(out, files)
        except KilledError:
            return
