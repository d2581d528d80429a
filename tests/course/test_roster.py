"""The roster as spreadsheets save it, and what is said about a line that is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from autograder.course.course import Assignment, Course, LatePolicy, Limits
from autograder.course.roster import Roster, RosterError, load_roster

COURSE = Course("demo", "Demo", LatePolicy(), Limits(), (Assignment("01_attention", "A", 20.0), Assignment("02_positional_encoding", "B", 20.0)))


@pytest.fixture
def load(tmp_path: Path):
    def load(text: str | bytes) -> Roster:
        path = tmp_path / "roster.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_roster(path, COURSE)

    return load


def test_reads_what_a_spreadsheet_saves(load) -> None:
    roster = load(b'\xef\xbb\xbfstudent,Last_Name,email\r\nann,"Lee, ""A""",a@b.c\r\n\r\n \xed\x95\x9c ben ,,\r\n')
    ann, ben = roster.students
    assert (ann.id, ann.last_name, ann.email) == ("ann", 'Lee, "A"', "a@b.c")
    assert (ben.id, ben.last_name) == ("한 ben", "")


def test_a_short_line_is_filled_up_and_other_columns_are_ignored(load) -> None:
    assert load("student,seat,email\nann\n").students[0].email == ""


def test_semicolons_separate_when_there_is_no_comma(load) -> None:
    assert load("student;email\nann;a@b.c\n").students[0].email == "a@b.c"


def test_an_extension_for_one_assignment_wins_over_the_general_one(load) -> None:
    roster = load("student,extension_days,extension:attention\nann,2,0.5\nben,2,\ncyd,2,0\ndan,,\n")
    days = {student.id: roster.extension(student.id, "01_attention") / timedelta(days=1) for student in roster.students}
    assert days == {"ann": 0.5, "ben": 2, "cyd": 0, "dan": 0}
    assert roster.extension("ann", "02_positional_encoding") == timedelta(days=2)
    assert roster.extension("nobody", "01_attention") == timedelta()


def test_ids_of_other_systems_are_kept_as_they_are_written(load) -> None:
    [ann] = load("student,canvas_id,SIS_User_ID,section,moodle_idnumber,gradescope_email\nann,0042,007,A 1,00012,Ann@b.c\n").students
    assert (ann.canvas_id, ann.sis_user_id, ann.section, ann.moodle_idnumber, ann.gradescope_email) == ("0042", "007", "A 1", "00012", "Ann@b.c")
    assert (ann.sis_login_id, ann.moodle_username) == ("", "")


@pytest.mark.parametrize("column", ["canvas_id", "sis_user_id", "sis_login_id", "moodle_username", "moodle_idnumber", "gradescope_email"])
def test_students_may_lack_an_id_but_not_share_one(load, column: str) -> None:
    assert len(load(f"student,{column}\nann,\nben,\n").students) == 2
    with pytest.raises(RosterError, match=rf"line 3: {column} '12' of student 'ben' is already that of 'ann'"):
        load(f"student,{column}\nann,12\nben,12\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("student,canvas_id\nann,1.2E+10\n", r"line 2: canvas_id is '1.2E\+10'; expected the number"),
        ("student,sis_login_id\nann,Lee\nben,lee\n", r"line 3: sis_login_id 'lee' of student 'ben' is already that of 'ann'"),
        ("student,sis_userid\nann,1\n", r"unknown column 'sis_userid'; did you mean 'sis_user_id'"),
        ("student\nann\nben\nann\n", r"roster\.csv, line 4: student 'ann' is already on line 2"),
        ('student,email\nann,"a\nb"\nann,x\n', r"line 4: student 'ann' is already on line 2"),
        ("name,email\nann,a@b.c\n", r"the column 'student' is missing; the first line has 'name', 'email'"),
        ("studnet\nann\n", r"unknown column 'studnet'; did you mean 'student'\?"),
        ("student,extention_days\nann,3\n", r"unknown column 'extention_days'; did you mean 'extension_days'\?"),
        ("student,extension:99\nann,3\n", r"column 'extension:99': there is no assignment '99'"),
        ("student,email,email\nann,a,b\n", r"the column 'email' is there 2 times"),
        ("student,email\n,a@b.c\n", r"line 2: the student '' is empty"),
        ("student\n..\n", r"line 2: the student '\.\.' means a folder itself"),
        ("student\nann/../ben\n", r"line 2: .* holds a path separator"),
        ("student,email\nann,a,b\n", r"line 2: 3 cells for 2 columns"),
        ("student,extension_days\nann,soon\n", r"line 2: extension_days is 'soon'; expected a number of days"),
        ("student,extension_days\nann,-1\n", r"expected a number of days from 0"),
        ("student,extension:01\nann,inf\n", r"extension:01_attention is 'inf'"),
        ('student\n"ann\n', r"line 2: not valid CSV"),
        ("\n\n", r"roster\.csv is empty"),
        (b"student\n\xff\n", r"byte 8 is not UTF-8"),
    ],
)
def test_a_mistake_is_named_with_its_line(load, text: str, message: str) -> None:
    with pytest.raises(RosterError, match=message):
        load(text)


def test_a_missing_roster_is_named(tmp_path: Path) -> None:
    with pytest.raises(RosterError, match=r"none\.csv does not exist"):
        load_roster(tmp_path / "none.csv", COURSE)
