"""A gradebook of nbgrader with what exports have to get right: accents, hostile names, hand-given scores, lateness, gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autograder.gradebook.database import open_gradebook

COURSE = """[course]
id = "demo"
title = "Demo"
[late]
policy = "none"
[[assignments]]
name = "01_attention"
title = "Attention"
points = 10
due = 2026-10-05T23:59:00Z
"""
ROSTER = """student,first_name,last_name,email,canvas_id,sis_user_id,section,moodle_idnumber,gradescope_email
ann,Zoë,Łukaszewicz-Åström,ann@x.org,101,00042,A 1,0007,Ann@gs.org
ben,=cmd|' /C calc'!A0,O'Neil,ben@x.org,102,00043,A 2,0008,
cyd,@home,-Müller,cyd@x.org,103,00044,A 1,0009,
dan,Dan,Late,dan@x.org,104,00045,A 1,0010,
eve,Eve,Noid,,,,,,
"""


@pytest.fixture
def class_folder(tmp_path: Path) -> Path:
    (tmp_path / "course.toml").write_text(COURSE, encoding="utf-8")
    (tmp_path / "roster.csv").write_text(ROSTER, encoding="utf-8")
    with open_gradebook(f"sqlite:///{tmp_path}/gradebook.db", "demo") as gradebook:
        _fill(gradebook)
    return tmp_path


def _fill(gradebook: Any) -> None:
    gradebook.add_assignment("01_attention")
    gradebook.add_notebook("attention", "01_attention")
    for name, points in (("test_scale", 6.0), ("question-pattern", 4.0)):
        gradebook.add_grade_cell(name, "attention", "01_attention", max_score=points, cell_type="code")
        gradebook.add_solution_cell(name, "attention", "01_attention")
    gradebook.add_solution_cell("submission", "attention", "01_attention")
    for student in ("ann", "ben", "cyd", "dan", "eve"):
        gradebook.add_student(student)
    # ann: a score by hand wins, extra credit; ben: late; cyd: waits for a person; dan: nothing; eve: all points.
    _grade(gradebook, "ann", {"test_scale": (3.0, 5.5, 0.25), "question-pattern": (None, 4.0, None)}, comment='=1+1; +2\nsays "é"\\')
    _grade(gradebook, "ben", {"test_scale": (6.0, None, None), "question-pattern": (0.0, None, None)}, penalty=1.5)
    _grade(gradebook, "cyd", {"test_scale": (6.0, None, None), "question-pattern": (None, None, None)})
    _grade(gradebook, "eve", {"test_scale": (6.0, None, None), "question-pattern": (None, 4.0, None)})
    gradebook.db.commit()


def _grade(gradebook: Any, student: str, scores: dict[str, tuple[float | None, ...]], penalty: float = 0.0, comment: str = "") -> None:
    gradebook.add_submission("01_attention", student)
    gradebook.find_submission_notebook("attention", "01_attention", student).late_submission_penalty = penalty
    for name, (auto, manual, extra) in scores.items():
        grade = gradebook.find_grade(name, "attention", "01_attention", student)
        grade.auto_score, grade.manual_score, grade.extra_credit = auto, manual, extra
        grade.needs_manual_grade = auto is None and manual is None
    gradebook.find_comment("test_scale", "attention", "01_attention", student).manual_comment = comment or None
