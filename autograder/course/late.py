"""How late a submission is, and what that costs."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from autograder.course.course import LatePolicy

_DAY_SECONDS = 86_400


def parse_time(text: str) -> datetime:
    """A time as an aware datetime in UTC; one without a time zone is UTC. Raises ValueError.

    Read are ISO 8601 and what nbgrader writes: "2026-10-06 10:00:00.000000 UTC", or with the name of a zone such as Europe/Berlin.
    """
    moment_text, _, zone = text.strip().rpartition(" ")
    if zone[:1].isalpha() and moment_text:
        moment = datetime.fromisoformat(moment_text)
        if moment.tzinfo is not None:
            raise ValueError(f"{text!r} names two time zones")
        return moment.replace(tzinfo=_zone(zone)).astimezone(UTC)
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _zone(name: str) -> tzinfo:
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write UTC, or one such as Europe/Berlin") from None


def seconds_late(submitted_at: datetime | None, due: datetime | None, extension: timedelta = timedelta()) -> float:
    """Seconds after the due time and its extension; 0 when handed in until then, or when either time is not known."""
    if submitted_at is None or due is None:
        return 0.0
    return max(0.0, (submitted_at - due - extension).total_seconds())


def late_penalty(late: LatePolicy, seconds: float, max_score: float) -> float:
    """Points to take off for being `seconds` late. What counts is max(0, score - penalty), as in nbgrader."""
    if seconds <= 0 or late.policy == "none":
        return 0.0
    if late.policy == "zero":
        return max_score
    percent = min(late.cap_percent, late.percent_per_day * math.ceil(seconds / _DAY_SECONDS))
    return round(max_score * percent / 100, 6)
