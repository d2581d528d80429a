"""A class in which everybody but three is hostile, graded by the command that instructors use: all that it writes is searched."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from handed_in import FORMS, NAMES, lay_out
from targets import Targets, descendants, left_processes
from trial import SUBMISSIONS, active_content, text_of
from warm_grader import CANARY, ROOT, sandbox_mode, warm_grader

from autograder.cli import main
from autograder.commands import grade as grade_command
from autograder.commands import publish as publish_command
from autograder.gradebook.write import COLUMN_WIDTH
from autograder.grading import jobs
from autograder.results.ledger import Ledger

sys.path.insert(0, str(Path(__file__).parents[1] / "commands"))
from tiny_class import InlineExecutor

SIBLINGS = ("_sibling_attention", "_zeros_attention")
ATTACKS = ("leak_by_markup", "leak_by_source_line", "leak_by_log", "leak_by_files", "forge_result_files", "forge_next_worker", "break_outputs")
LEAKS = (CANARY[-32:], "hidden_tests/", "naive.py", "smuggled")
TIMES = ("graded_at", "wall_seconds", "cpu_seconds", "peak_memory_bytes", "seed", "fingerprint")


def grade(folder: Path, gradebook: str) -> int:
    given = ["grade", str(folder / "submissions"), "--course", str(ROOT / "course.toml"), "--results", str(folder / "results"), "--assignment", "01"]
    return main([*given, "--gradebook", gradebook, "--sandbox", sandbox_mode(), "--jobs", "1"])


def hand_in(folder: Path, student: str, text: str) -> None:
    path = folder / "submissions" / student / "01_attention" / "attention.py"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def reports(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for report in Ledger(folder / "results").all_current():
        found[report.student] = json.loads(
            json.dumps({**vars(replace(report, tests=())), "tests": [vars(test) for test in report.tests]}, default=str)
        )
    return found


@pytest.fixture(scope="module")
def graded(targets: Targets, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The hostile class, and the same without the hostile."""
    everything: dict[str, Any] = {"before": (targets.files(), targets.left_elsewhere(), descendants())}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grade_command, "local_executor", lambda _jobs: InlineExecutor())
        patch.setattr(jobs, "_grader", warm_grader())
        patch.setenv("AUTOGRADER_SECRET", f"a secret of the course {CANARY}")
        patch.setenv("COLUMNS", "200")
        for name in ("together", "alone"):
            folder = everything[name] = tmp_path_factory.mktemp(name)
            for sibling in SIBLINGS:
                hand_in(folder, sibling.strip("_"), (SUBMISSIONS / f"{sibling}.py").read_text())
            if name == "together":
                lay_out(folder / "submissions", str(targets.folder / "secret.txt"))
                for attack in ATTACKS:
                    hand_in(folder, attack, text_of(attack, targets))
            else:  # plots of a class of two say nothing here
                patch.setattr(publish_command, "write_class_report", lambda folder, *_rest: folder)
            with (folder / "console.txt").open("w") as console:
                patch.setattr(sys, "stdout", console)
                patch.setattr(sys, "stderr", console)
                everything[f"code of {name}"] = grade(folder, f"sqlite:///{folder / 'gradebook.db'}" if name == "together" else "none")
                patch.setattr(sys, "stdout", sys.__stdout__)
                patch.setattr(sys, "stderr", sys.__stderr__)
    everything["reports"] = reports(everything["together"])
    return everything


@pytest.mark.parametrize("name", FORMS)
def test_each_form_is_graded_or_refused_in_words(graded: dict[str, Any], name: str) -> None:
    report, expected = graded["reports"][name], FORMS[name]
    assert expected.aim.endswith(".")
    assert (report["status"], report["score"]) == (expected.status.value, 0.0)
    assert expected.message in " ".join([report["message"], *(test["message"] for test in report["tests"])])
    assert any(expected.flag in flag for flag in report["flags"]) or not expected.flag


def no_entry(name: str) -> bool:
    """What nbgrader's pages would show unescaped, and what its columns are too narrow for, is not in the gradebook."""
    return bool(set(name) & set('<>"')) or len(name) > COLUMN_WIDTH


def test_every_name_is_a_student_of_its_own_or_passed_over_with_a_note(graded: dict[str, Any]) -> None:
    assert graded["code of together"] == graded["code of alone"] == 0
    refused = {name for name in NAMES if "\\" in name}
    assert set(NAMES) - set(graded["reports"]) == refused
    console = (graded["together"] / "console.txt").read_text()
    assert not [line for line in console.splitlines() if line.strip().startswith(("::", "##["))]
    console = " ".join(console.split())
    assert console.count("holds a path separator") == len(refused)
    assert r"'nai\u0308ve' and 'na\xefve' look alike and are graded as 2 students" in console
    assert console.count("is not in the gradebook: rename the folder") == sum(map(no_entry, NAMES))
    assert "is not a student's folder and was passed over" in console
    with open(graded["together"] / "results" / "grades.csv", newline="") as file:
        cells = [cell for row in csv.DictReader(file) for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]


def test_siblings_get_the_same_reports_with_and_without_the_hostile(graded: dict[str, Any]) -> None:
    alone = reports(graded["alone"])
    assert set(alone) == {sibling.strip("_") for sibling in SIBLINGS}
    for student, report in alone.items():
        assert {**graded["reports"][student], **dict.fromkeys(TIMES)} == {**report, **dict.fromkeys(TIMES)}
        for page in ("01_attention.html", "01_attention.md"):
            assert (graded["together"] / "results/feedback" / student / page).read_bytes() == (
                graded["alone"] / "results/feedback" / student / page
            ).read_bytes()


def test_nothing_that_was_written_holds_a_secret_or_acts(graded: dict[str, Any]) -> None:
    folder = graded["together"]
    written = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and folder / "submissions" not in path.parents]
    assert len(written) > 3 * (len(FORMS) + len(NAMES))
    for path in written:
        text = path.read_bytes().decode("utf-8", "replace")
        for leak in LEAKS:
            assert leak not in text, (path.name, leak)
        if path.suffix == ".html":
            assert not active_content(re.sub(r'(?:href|title|aria-label|alt)="[^"]*"', "", text)), path
        if path.suffix in (".html", ".md", ".txt", ".csv"):
            assert not re.search("[\x1b\x07\u202e\u2066]", text), path
    with sqlite3.connect(folder / "gradebook.db") as book:
        entered = {row[0] for row in book.execute("SELECT id FROM student")}
    assert set(graded["reports"]) - entered == set(filter(no_entry, graded["reports"]))


def test_nothing_is_left_of_the_class(graded: dict[str, Any], targets: Targets) -> None:
    files, elsewhere, processes = graded["before"]
    assert not targets.reached()
    assert targets.files() == files
    assert targets.left_elsewhere() == elsewhere
    assert not left_processes(processes)
    assert not Path("red-team-mark").exists()
