"""A run is killed in each of its phases, its disk is full or read-only: what there was stays, and the next run ends as an undisturbed one."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader")

from graded_class import GradedClass, orphans_come_here

from autograder.cli import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> GradedClass:
    """A class after an undisturbed run."""
    made = GradedClass.make(tmp_path_factory.mktemp("class"))
    code, out = made.start().finish()
    assert code == 0, out
    return made


@pytest.fixture(scope="module")
def expected(graded: GradedClass) -> dict[str, Any]:
    return graded.grades()


def test_every_grade_is_there_once_after_kills_in_every_phase(graded: GradedClass, expected: dict[str, Any], tmp_path: Path) -> None:
    killed = GradedClass.make(tmp_path / "c")
    with orphans_come_here():
        for phase, whole_group in (("3 of 5", False), ("gradebook", True), ("feedback", False)):
            kept = killed.reports()
            run = killed.start()
            while not run.ended() and not killed.phase().startswith(phase):
                time.sleep(0.001)
            run.kill(whole_group)
            assert run.all_ended()
            assert killed.reports().items() >= kept.items()
            assert killed.gradebook_is_whole()
        both = [killed.start(), killed.start()]
        for run in both:
            code, out = run.finish()
            assert code == 0, out
        assert all(run.all_ended() for run in both)
    assert killed.grades() == expected


@pytest.fixture
def disk(graded: GradedClass, expected: object, tmp_path: Path) -> Iterator[Path]:
    """The graded class on a disk of its own, which nearly is full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    used = sum(path.stat().st_size + 4096 for path in graded.folder.rglob("*") if path.is_file())
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={2 * used + 2**21}", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    shutil.copytree(graded.folder, folder / "c")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def _publish(graded: GradedClass, last_name: str, folder: Path) -> int:
    """Write everything again, with another name for every student, so that there is something to write."""
    return main(["publish", *_places(graded), "--roster", str(_roster(folder, last_name))])


def _roster(folder: Path, last_name: str) -> Path:
    path = folder / "roster.csv"
    path.write_text("student,last_name\n" + "".join(f"{student},{last_name}\n" for student in ("ann", "bob", "cem", "dmitri", "eva")))
    return path


def _places(graded: GradedClass) -> list[str]:
    return ["--course", str(graded.folder / "course.toml"), "--results", str(graded.results), "--gradebook", f"sqlite:///{graded.gradebook}"]


def test_a_disk_that_fills_up_or_is_read_only_loses_nothing(disk: Path, tmp_path: Path, capsys: Any) -> None:
    there = GradedClass(disk / "c")
    reports, csv = there.reports(), (there.results / "grades.csv").read_bytes()
    filler = disk / "filler"
    for free in (0, 4_096, 16_384):
        room = shutil.disk_usage(disk).free
        filler.write_bytes(bytes(room - free))
        assert _publish(there, f"Free{free}", tmp_path) == 1
        said = "".join(capsys.readouterr())
        assert "make room on the disk" in said or "The disk is full: free some space and run again" in said
        assert "Traceback" not in said
        assert there.reports() == reports
        assert (there.results / "grades.csv").read_bytes() == csv
        assert len({row.split("'")[3] if "Free" in row else "" for row in there.rows()["students"]}) == 1  # of all students, or of none
        filler.unlink()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    before = there.rows()
    assert _publish(there, "ReadOnly", tmp_path) == 1
    assert "writable" in "".join(capsys.readouterr())
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert (there.rows(), there.reports()) == (before, reports)
    assert _publish(there, "Lee", tmp_path) == 0
    assert all("'Lee'" in row for row in there.rows()["students"])


@pytest.mark.parametrize("bytes_allowed", [0, 20_000])
def test_a_limit_on_file_sizes_loses_nothing(bytes_allowed: int, graded: GradedClass, expected: object, tmp_path: Path, capsys: Any) -> None:
    """`ulimit -f`, as some machines set it for whoever logs in: writing fails in the middle of a file."""
    shutil.copytree(graded.folder, tmp_path / "c")
    there = GradedClass(tmp_path / "c")
    reports, csv = there.reports(), (there.results / "grades.csv").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    roster = _roster(tmp_path, "Limited")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_allowed, hard))
        code = main(["publish", *_places(there), "--roster", str(roster)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = "".join(capsys.readouterr())
    assert code == 1
    assert "Traceback" not in said
    assert "ulimit -f" in said
    assert there.reports() == reports
    assert (there.results / "grades.csv").read_bytes() == csv
    assert there.gradebook_is_whole()
    assert len({"Limited" in row for row in there.rows()["students"]}) == 1  # of all students, or of none
    assert _publish(there, "Lee", tmp_path) == 0
    assert all("'Lee'" in row for row in there.rows()["students"])
