"""A class with endless loops in it: how it is made, and a very small one graded."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from autograder.bench.load_class import LOOPS, class_of, write_class
from autograder.course.course import load_course
from autograder.grading.paths import REPOSITORY

COURSE = load_course(REPOSITORY / "course.toml")


def test_a_class_of_2000_holds_every_kind_of_submission_and_loop() -> None:
    handed = class_of(2000, COURSE)
    kinds = Counter(entry.kind for entry in handed)
    assert kinds["loop"] == 100
    assert min(kinds[kind] for kind in ("right", "wrong", "stub", "broken")) >= 200
    assert {entry.form for entry in handed if entry.kind == "loop"} == set(LOOPS)
    assert set(Counter(entry.assignment for entry in handed).values()) == {200}
    assert len({entry.path for entry in handed}) == 2000


def test_ten_endless_ones_come_in_a_row() -> None:
    assert "loop" * 10 in "".join(entry.kind for entry in class_of(2000, COURSE))


def test_the_same_class_comes_out_each_time() -> None:
    assert class_of(60, COURSE) == class_of(60, COURSE)


def test_what_never_ends_is_valid_python() -> None:
    for entry in class_of(400, COURSE):
        if entry.kind == "loop":
            ast.parse(entry.source)


def test_files_are_written_once(tmp_path: Path) -> None:
    handed = class_of(10, COURSE)
    write_class(handed, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.py")}
    write_class(handed, tmp_path)
    assert len(times) == 10
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.py")} == times


def test_a_small_class_is_graded_and_goes_on_where_it_was(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "autograder.bench.load", "--submissions", "3", "--jobs", "2", "--folder", str(tmp_path)]
    command += ["--sandbox", "best", "--call-seconds", "0.3", "--submission-seconds", "60"]
    first = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert "Graded 3 of 3 with 2 jobs" in first.stdout
    assert "Left behind: 0 processes" in first.stdout
    assert "no change to what was handed in" in first.stdout
    assert "| never ending | 1 |" in first.stdout
    assert json.loads((tmp_path / "load.json").read_text())["finished"]

    reports = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*.json")}
    again = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "Graded 3 of 3" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*.json")} == reports
    other = subprocess.run([*command, "--jobs", "1"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "holds a run of 3 submissions with 2 jobs" in other.stderr
