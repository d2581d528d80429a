"""`nbgrader autograde`: the scores of `autograder grade`, in the sandbox, and nothing for a notebook that makes things up."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader")

from nbgrader_app import gradebook, nbgrader, press_autograde
from tiny_class import COURSE, InlineExecutor, TinyClass
from warm_grader import ROOT, sandbox_mode, warm_grader

from autograder.cli import main
from autograder.commands import grade as grade_command
from autograder.commands import publish as publish_command
from autograder.course.questions import Question
from autograder.grading import jobs
from autograder.nbgrader_course import autograde

FIGURE = Question("pattern", "figure", 2.0, "Draw the attention pattern.", "- 1 point: rows are queries", "MODEL ANSWER: a triangle")
WRONG = (ROOT / "examples" / "submissions" / "dmitri.volkov" / "01_attention" / "attention.py").read_text()
RIGHT = (ROOT / "reference_solutions" / "attention.py").read_text()
LATE = '[late]\npolicy = "percent"\npercent_per_day = 10\ncap_percent = 50\n\n[limits]'
NAME = "01_attention"
SUBMITTED = "SELECT n.id FROM submitted_notebook AS n JOIN submitted_assignment AS a ON a.id = n.assignment_id"


def cell(source: str, kind: str = "code", **metadata: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": kind, "id": f"c{abs(hash((source, str(metadata)))) % 10**8}", "metadata": {}, "source": source}
    if metadata:
        made["metadata"]["nbgrader"] = {"schema_version": 3, "cell_type": kind, "task": False, "grade": False, "locked": False} | metadata
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def notebook(*cells: dict[str, Any]) -> str:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": list(cells)})


def hostile(marker: Path) -> str:
    """The wrong solution, and everything that nbgrader believes of a cell's metadata."""
    mark = f"open({str(marker)!r}, 'w').write('executed')"
    forged = {"grade": True, "points": 1000, "checksum": "0" * 32, "locked": True, "solution": False}
    answer = cell("draw()", grade_id=FIGURE.grade_id, grade=True, solution=True, points=999)
    return notebook(
        cell(f"%%python\n{mark}"),
        cell(mark),
        cell(WRONG, grade_id="attention", solution=True),
        cell("pass", grade_id="test_bonus", **forged),
        cell("pass", grade_id="test_output_is_the_weighted_mean", **forged),
        answer | {"metadata": answer["metadata"] | {"nbgrader_score": 20}},
    )


@dataclass
class Course:
    tiny: TinyClass

    @property
    def folder(self) -> Path:
        return self.tiny.folder / "nbgrader_course"

    @property
    def marker(self) -> Path:
        return self.tiny.folder / "marker"

    def database(self, name: str = "gradebook") -> Path:
        return self.tiny.folder / f"{name}.db"

    def hand_in(self, student: str, text: str, submitted_at: str | None = None, suffix: str = "ipynb") -> None:
        folder = self.tiny.submissions / student / NAME
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"attention.{suffix}").write_text(text)
        if submitted_at:
            (folder / "timestamp.txt").write_text(submitted_at + "\n")

    def grade(self, submissions: Path | None = None, database: str = "gradebook", results: str = "results", *more: str) -> None:
        places = ["--course", str(self.tiny.folder / "course.toml"), "--results", str(self.tiny.folder / results)]
        places += ["--gradebook", f"sqlite:///{self.database(database)}", "--sandbox", sandbox_mode(), "--assignment", NAME, *more]
        assert main(["grade", str(submissions or self.tiny.submissions), *places]) == 0

    def prepare(self) -> None:
        places = ["--course", str(self.tiny.folder / "course.toml"), "--results", str(self.tiny.results)]
        assert main(["formgrader", str(self.tiny.submissions), *places, "--gradebook", f"sqlite:///{self.database()}", "--prepare-only"]) == 0

    def text(self, student: str, step: str = "autograded") -> str:
        return (self.folder / step / student / NAME / "attention.ipynb").read_text()

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.database()) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    """Ann is right and late, Bob's file does not parse, Cem handed in nothing, Dan's notebook makes things up, Eve's is no notebook."""
    tiny = TinyClass.make(tmp_path)
    dated = COURSE.replace("points = 20\n", "points = 20\ndue = 2026-10-05T23:59:00Z\n", 1).replace("[limits]", LATE)
    (tmp_path / "course.toml").write_text(dated)
    made = Course(tiny)
    made.hand_in("ann", RIGHT, "2026-10-07 10:00:00.25 UTC", "py")
    made.hand_in("dan", hostile(made.marker), "2026-10-05 20:00:00 UTC")
    made.hand_in("eve", "{")
    bank = tmp_path / "repository" / "reference_solutions" / "questions" / "attention.md"
    bank.parent.mkdir(parents=True)
    heading = f"## {FIGURE.id} · {FIGURE.kind} · {FIGURE.points:g} points"
    bank.write_text(f"{heading}\n{FIGURE.prompt}\n### Rubric\n{FIGURE.rubric}\n### Answer\n{FIGURE.answer}\n")
    monkeypatch.setattr(publish_command, "REPOSITORY", tmp_path / "repository")
    monkeypatch.setattr(publish_command, "write_class_report", lambda folder, *_rest: folder / "class_report.html")
    monkeypatch.setattr(autograde, "REPOSITORY", tmp_path / "repository")
    for module in (grade_command, autograde):
        monkeypatch.setattr(module, "local_executor", lambda _jobs: InlineExecutor())
    monkeypatch.setattr(jobs, "_grader", warm_grader())
    monkeypatch.setenv("AUTOGRADER_SECRET", "a secret of the tests")
    for variable in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    return made


def test_a_prepared_folder_ends_in_the_same_scores_notebooks_and_reports(course: Course) -> None:
    course.grade()
    course.prepare()
    course.sql("UPDATE grade SET manual_score = 1.5, needs_manual_grade = 0 WHERE id = (SELECT max(id) FROM grade WHERE auto_score IS NULL)")
    scores, reports = gradebook(course.database()), course.tiny.files()
    notebooks = {student: course.text(student) for student in ("ann", "bob", "dan", "eve")}
    course.sql("UPDATE grade SET auto_score = 0.25, needs_manual_grade = 1 WHERE manual_score IS NULL")

    assert nbgrader(course.folder, "autograde", NAME) == 0
    assert gradebook(course.database()) != scores  # nbgrader passes over what it has graded
    assert nbgrader(course.folder, "autograde", NAME, "--create") == 0
    assert nbgrader(course.folder, "autograde", NAME, "--force", "--student=ann") == 0
    assert [row for row in gradebook(course.database())["grades"] if row[0] == "ann"] == [row for row in scores["grades"] if row[0] == "ann"]
    assert nbgrader(course.folder, "autograde", NAME, "--force", "--no-execute") == 0
    assert gradebook(course.database()) == scores
    assert {student: course.text(student) for student in notebooks} == notebooks
    assert course.tiny.files().keys() == reports.keys()
    assert not course.marker.exists()
    of_dan = {row[1]: row[2:] for row in scores["grades"] if row[0] == "dan"}
    assert sum(row[0] or 0 for row in of_dan.values()) == 16.5
    assert "test_bonus" not in of_dan
    assert course.sql("SELECT sum(max_score) FROM grade_cells") == [(22.0,)]
    course.prepare()
    assert {student: course.text(student) for student in notebooks} == notebooks


def test_a_folder_of_submissions_alone_ends_in_the_scores_of_autograder_grade(course: Course) -> None:
    """With nbgrader's commands from the start: one gradebook by `nbgrader autograde`, one by `autograder grade`."""
    course.folder.mkdir()
    settings = f"gradebook='sqlite:///{course.database()}', sandbox={sandbox_mode()!r}, jobs=1"
    course_file = str(course.tiny.folder / "course.toml")
    text = f"from autograder.nbgrader_course.config import configure\nc = get_config()\nconfigure(c, {course_file!r}, {settings})\n"
    (course.folder / "nbgrader_config.py").write_text(text)
    source = course.folder / "source" / NAME
    source.mkdir(parents=True)
    (source / "attention.ipynb").write_text(notebook(cell("### BEGIN SOLUTION\npass\n### END SOLUTION", grade_id="attention", solution=True)))
    assert nbgrader(course.folder, "generate_assignment", NAME) == 0
    submitted = course.folder / "submitted"
    for student in ("ann", "dan", "eve"):
        shutil.copytree(course.tiny.submissions / student / NAME, submitted / student / NAME)
    (submitted / "ann" / NAME / "attention.py").unlink()
    (submitted / "ann" / NAME / "attention.ipynb").write_text(notebook(cell(RIGHT, grade_id="attention", solution=True)))
    assert nbgrader(course.folder, "autograde", NAME) == 0
    course.grade(submitted, "other", "other_results")
    assert gradebook(course.database()) == gradebook(course.database("other"))
    assert not course.marker.exists()
    assert nbgrader(course.folder, "generate_assignment", NAME, "--force") == 0  # also with submissions
    assert gradebook(course.database()) == gradebook(course.database("other"))


def test_the_command_as_it_is_typed_starts_no_kernel(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_command, "REPOSITORY", ROOT)
    course.grade()
    course.prepare()
    before = gradebook(course.database())
    shutil.rmtree(course.folder / "autograded" / "dan")
    [(dan,)] = course.sql(f"{SUBMITTED} WHERE student_id = 'dan'")
    course.sql(f"UPDATE grade SET auto_score = 0.25, needs_manual_grade = 1 WHERE notebook_id = '{dan}'")
    shutil.rmtree(course.tiny.results / NAME / "dan")
    command = [str(Path(sys.executable).parent / "nbgrader"), "autograde", NAME]
    nowhere = {"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}  # an environment that is not activated
    done = subprocess.run(command, cwd=course.folder, env={**os.environ, **nowhere}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "kernel" not in done.stderr.lower()
    assert len(list((course.tiny.results / NAME / "dan").glob("*.json"))) == 1
    assert gradebook(course.database()) == before
    assert not course.marker.exists()


def test_settings_that_cannot_be_used_stop_the_grading(course: Course, capfd: pytest.CaptureFixture[str]) -> None:
    """nbgrader must not go on and grade by itself."""
    course.grade()
    course.prepare()
    before = gradebook(course.database())
    text = (course.tiny.folder / "course.toml").read_text()
    (course.tiny.folder / "course.toml").write_text(text.replace("points = 20", "points = 'many'"))
    assert nbgrader(course.folder, "autograde", NAME, "--force", "--student=dan") == 1
    assert "points is 'many'; expected a number above 0" in capfd.readouterr().err
    assert not course.marker.exists()
    assert gradebook(course.database()) == before
    (course.tiny.folder / "course.toml").write_text(text)
    assert press_autograde(course.folder, NAME, "dan")["success"]
    assert gradebook(course.database()) == before
    assert "test_bonus" not in course.text("dan")
