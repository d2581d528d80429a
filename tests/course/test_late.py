"""When work is late, and what that costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from autograder.course.course import LatePolicy
from autograder.course.late import late_penalty, parse_time, seconds_late

DUE = datetime(2026, 10, 5, 23, 59, tzinfo=UTC)
PERCENT = LatePolicy("percent", 10.0, 35.0)
DAY = 86_400.0


def test_exactly_on_time_is_not_late() -> None:
    assert seconds_late(DUE, DUE) == 0
    assert seconds_late(DUE + timedelta(seconds=1), DUE) == 1
    assert seconds_late(DUE - timedelta(days=1), DUE) == 0


def test_an_extension_moves_the_due_time() -> None:
    assert seconds_late(DUE + timedelta(days=2), DUE, timedelta(days=2)) == 0
    assert seconds_late(DUE + timedelta(days=2, seconds=5), DUE, timedelta(days=2)) == 5


def test_without_a_due_time_or_a_time_of_submission_nothing_is_late() -> None:
    assert seconds_late(DUE, None) == seconds_late(None, DUE) == 0


@pytest.mark.parametrize(("seconds", "points"), [(0, 0), (1, 2), (DAY, 2), (DAY + 1, 4), (3 * DAY, 6), (3 * DAY + 1, 7), (1000 * DAY, 7)])
def test_percent_is_taken_for_each_day_begun_up_to_the_cap(seconds: float, points: float) -> None:
    assert late_penalty(PERCENT, seconds, 20.0) == points


def test_zero_takes_everything_and_none_takes_nothing() -> None:
    assert late_penalty(LatePolicy("zero"), 1, 20.0) == 20
    assert late_penalty(LatePolicy("zero"), 0, 20.0) == 0
    assert late_penalty(LatePolicy("none", 10.0, 50.0), 9 * DAY, 20.0) == 0


def test_a_time_is_brought_to_utc_and_one_without_a_zone_is_utc() -> None:
    assert parse_time("2026-10-06T08:59:00+09:00") == DUE
    assert parse_time("2026-10-05T23:59:00") == parse_time("2026-10-05T23:59:00Z") == DUE
    with pytest.raises(ValueError):
        parse_time("yesterday")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-06 10:00:00 UTC", "2026-10-06T10:00:00+00:00"),
        ("2026-10-06 10:00:00.123456 UTC", "2026-10-06T10:00:00.123456+00:00"),
        ("2026-10-06 12:00:00 Europe/Berlin", "2026-10-06T10:00:00+00:00"),
        ("2026-10-06T12:00:00+02:00\n", "2026-10-06T10:00:00+00:00"),
        ("2026-10-06 10:00:00", "2026-10-06T10:00:00+00:00"),
    ],
)
def test_times_as_nbgrader_writes_them_are_read(text, expected):
    assert parse_time(text).isoformat() == expected


@pytest.mark.parametrize("text", ["yesterday", "2026-10-06 10:00:00 Nowhere/Land", "2026-10-06 10:00:00+02:00 UTC", "", "UTC"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)
