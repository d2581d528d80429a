"""course.toml: what it gives, and what it says about each mistake."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from autograder.course.course import Course, CourseError, LatePolicy, Limits, load_course

COURSE = """
[course]
id = "demo"
title = "A course"
[late]
policy = "percent"
percent_per_day = 10
cap_percent = 50
[limits]
memory_bytes = 1000
[[assignments]]
name = "01_attention"
title = "Attention"
points = 20
due = 2026-10-05T23:59:00+02:00
[[assignments]]
name = "02_positional_encoding"
title = "Positions"
points = 7.5
weight = 2
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "course.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def course(write) -> Course:
    return load_course(write(COURSE))


def test_reads_every_part_and_fills_in_what_is_left_out(course: Course) -> None:
    assert (course.id, course.title) == ("demo", "A course")
    assert course.late == LatePolicy("percent", 10.0, 50.0)
    assert course.limits == Limits(memory_bytes=1000)
    first, second = course.assignments
    assert (first.folder, first.number, first.name, first.points, first.weight) == ("01_attention", "01", "attention", 20.0, 1.0)
    assert (second.name, second.points, second.weight, second.due) == ("positional_encoding", 7.5, 2.0, None)


def test_due_times_are_in_utc(course: Course) -> None:
    assert course.assignments[0].due == datetime(2026, 10, 5, 21, 59, tzinfo=UTC)
    assert course.assignments[0].due.tzinfo is UTC


@pytest.mark.parametrize("text", ["01_attention", "attention", "01", "01_attention/"])
def test_finds_an_assignment_by_folder_name_or_number(course: Course, text: str) -> None:
    assert course.find(text).folder == "01_attention"


def test_an_unknown_assignment_lists_the_known_ones(course: Course) -> None:
    with pytest.raises(CourseError, match=r"'99'.*01_attention, 02_positional_encoding"):
        course.find("99")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "demo"', "id = demo", r"course\.toml is not valid TOML: .*line 3"),
        ('id = "demo"', "", r"course\.toml, \[course\]: id is missing"),
        ('id = "demo"', "id = 7", r"id is 7; expected a text"),
        ("[course]", "[curse]", r"unknown key 'curse'; did you mean 'course'\?"),
        ("cap_percent", "cap_procent", r"\[late\]: unknown key 'cap_procent'; did you mean 'cap_percent'\?"),
        ('"percent"', '"percentage"', r'policy is \'percentage\'; expected "none" or "percent" or "zero" \(did you mean \'percent\'\?\)'),
        ("percent_per_day = 10", "", r"\[late\]: percent_per_day is missing"),
        ("percent_per_day = 10", "percent_per_day = 101", r"percent_per_day is 101; expected a number from 0 to 100"),
        ("cap_percent = 50", "cap_percent = nan", r"cap_percent is nan; expected a number from 0 to 100"),
        ("memory_bytes = 1000", "memory_bytes = 0", r"\[limits\]: memory_bytes is 0; expected a whole number that is 1 or more"),
        ("memory_bytes = 1000", 'memory_bytes = "1 GiB"', r"memory_bytes is '1 GiB'; expected a whole number"),
        ("memory_bytes = 1000", "call_seconds = true", r"call_seconds is True; expected a number above 0"),
        ("points = 20", "points = -3", r'course\.toml, assignment "01_attention": points is -3; expected a number above 0'),
        ("points = 20", "", r'assignment "01_attention": points is missing'),
        ("points = 20", "point = 20", r"unknown key 'point'; did you mean 'points'\?"),
        ("weight = 2", "weight = inf", r'assignment "02_positional_encoding": weight is inf; expected a number that is 0 or more'),
        ("+02:00", "", r'assignment "01_attention": due is 2026-10-05T23:59:00; expected a date and time with its time zone'),
        ("2026-10-05T23:59:00+02:00", "2026-10-05", r"due is 2026-10-05; expected a date and time"),
        ("2026-10-05T23:59:00+02:00", '"tomorrow"', r"due is 'tomorrow'; expected a date and time"),
        ('"01_attention"', '"attention"', r"assignments 1: name is 'attention'; expected two digits"),
        ('"01_attention"', '"01_../../etc"', r"expected two digits"),
        ("02_positional_encoding", "01_attention", r"2 assignments share '01_attention'"),
        ("02_positional_encoding", "02_attention", r"2 assignments share 'attention' \(01_attention, 02_attention\)"),
        ("02_positional_encoding", "01_positional_encoding", r"2 assignments share '01'"),
    ],
)
def test_a_mistake_is_named_with_key_value_and_expectation(write, old: str, new: str, message: str) -> None:
    assert old in COURSE
    with pytest.raises(CourseError, match=message) as caught:
        load_course(write(COURSE.replace(old, new)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"\xff\xfe", "byte 0 is not UTF-8"), (b"", "course is missing"), (b"assignments = 3\n[course]\nid='a'\ntitle='b'", r"assignments is 3")],
)
def test_a_file_that_is_no_course_is_refused(write, text: bytes, message: str) -> None:
    with pytest.raises(CourseError, match=message):
        load_course(write(text))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=r"course\.toml does not exist"):
        load_course(tmp_path / "course.toml")
    with pytest.raises(CourseError, match="cannot be read: Is a directory"):
        load_course(tmp_path)


def test_the_course_of_this_repository_loads() -> None:
    course = load_course(Path(__file__).parents[2] / "course.toml")
    assert [assignment.folder for assignment in course.assignments][:3] == ["01_attention", "02_positional_encoding", "03_multi_head_attention"]
