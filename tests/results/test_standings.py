"""Late penalties, course totals, and the grades.csv that is made from them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from autograder.course.course import Assignment, Course, CourseError, LatePolicy, Limits
from autograder.course.roster import Roster, Student
from autograder.reports.model import Isolation, Status
from autograder.results.grades_csv import grades_csv, write_grades
from autograder.results.ledger import Ledger
from autograder.results.standings import course_totals, standing, standings

DUE = datetime(2026, 10, 5, 23, 59, tzinfo=UTC)
COURSE = Course(
    "demo",
    "Demo",
    LatePolicy("percent", 10.0, 50.0),
    Limits(),
    (Assignment("01_attention", "A", 20.0, 1.0, DUE), Assignment("02_positional_encoding", "B", 10.0, 3.0)),
)
LATE = "2026-10-07T00:00:00+00:00"  # in the second day


def test_a_late_submission_loses_points_of_the_maximum(make_report) -> None:
    entry = standing(make_report(submitted_at=LATE), COURSE)
    assert (entry.seconds_late, entry.late_penalty, entry.final_score) == (86_460.0, 4.0, 8.0)


def test_a_penalty_takes_no_more_than_there_is(make_report) -> None:
    entry = standing(make_report(submitted_at="2027-01-01T00:00:00", score=3.0), COURSE)
    assert (entry.late_penalty, entry.final_score) == (10.0, 0.0)


def test_on_time_unknown_time_and_missing_cost_nothing(make_report) -> None:
    reports = [make_report(), make_report(submitted_at=None), make_report(status=Status.MISSING, submitted_at=LATE, score=0.0)]
    assert [standing(report, COURSE).late_penalty for report in reports] == [0, 0, 0]


def test_of_two_extensions_the_longer_one_holds(make_report) -> None:
    roster = Roster((Student("ann", extension_days=1),))
    [of_roster] = standings([make_report(submitted_at=LATE)], COURSE, roster)
    [of_gradebook] = standings([make_report(submitted_at=LATE)], COURSE, roster, {("01_attention", "ann"): timedelta(days=2)})
    assert (of_roster.extension, of_roster.late_penalty) == (timedelta(days=1), 2.0)
    assert (of_gradebook.extension, of_gradebook.late_penalty) == (timedelta(days=2), 0.0)


def test_reports_of_assignments_that_the_course_no_longer_has_are_left_out(make_report) -> None:
    assert standings([make_report(assignment="09_old")], COURSE) == []
    with pytest.raises(CourseError, match="'09_old'"):
        standing(make_report(assignment="09_old"), COURSE)


def test_the_course_grade_weighs_assignments_and_counts_missing_ones_as_zero(make_report) -> None:
    reports = [make_report(student="ben", submitted_at=LATE), make_report(student="ann", assignment="02_positional_encoding", max_score=24.0)]
    totals = course_totals(standings(reports, COURSE), COURSE, Roster((Student("cyd"),)))
    assert [(total.student, total.percent) for total in totals] == [("ann", 37.5), ("ben", 10.0), ("cyd", 0.0)]
    assert totals[1].final_scores == {"01_attention": 8.0}


def test_grades_csv_has_a_line_per_student_and_assignment(tmp_path: Path, make_report) -> None:
    reports = [
        make_report(student="ben", submitted_at=LATE, score=6.5),
        make_report(student="ann, jr", attempt=2, sandbox=Isolation("off", ())),
        make_report(assignment="02_positional_encoding", status=Status.BROKEN, score=0.0),
    ]
    path = write_grades(standings(reports, COURSE), Ledger(tmp_path))
    assert path.read_bytes().decode() == (
        "student,assignment,status,score,max_score,late_penalty,attempt,sandbox,report\n"
        "ann,02_positional_encoding,broken,0,20,0,1,process+landlock,02_positional_encoding/ann/f1.json\n"
        '"ann, jr",01_attention,graded,12,20,0,2,none,"01_attention/ann, jr/f1.json"\n'
        "ben,01_attention,graded,6.5,20,4,1,process+landlock,01_attention/ben/f1.json\n"
    )


@pytest.mark.parametrize("student", ['=HYPERLINK("x")', "+1", "-1", "@x", "\tx", "\rx", "\nx"])
def test_no_cell_is_run_as_a_formula(tmp_path: Path, make_report, student: str) -> None:
    text = grades_csv(standings([make_report(student=student)], COURSE), Ledger(tmp_path))
    [row] = list(csv.DictReader(io.StringIO(text, newline="")))
    assert row["student"] == "'" + student
    assert row["score"] == "12"


def test_a_name_that_is_not_utf_8_can_be_written(tmp_path: Path, make_report) -> None:
    assert b"caf\\udce9" in write_grades(standings([make_report(student="caf\udce9")], COURSE), Ledger(tmp_path)).read_bytes()
