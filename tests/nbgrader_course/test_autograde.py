"""`nbgrader autograde`: the scores of `autograder grade`, in the sandbox, and nothing for a notebook that makes things up."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader")

from nbgrader_app import gradebook, nbgrader
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
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Course]:
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
    yield made


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
    course.prepare()
    assert {student: course.text(student) for student in notebooks} == notebooks
