"""How numbers, durations, statuses and late penalties are said."""

from __future__ import annotations

from autograder.reports.model import Status
from autograder.results.standings import Standing

STATUS_WORDS = {
    Status.GRADED: "graded",
    Status.MISSING: "not handed in",
    Status.UNREADABLE: "could not be read",
    Status.BROKEN: "could not be run",
}


def number(value: float) -> str:
    """At most two decimals and no trailing zeros: 18, 17.5, 6.67."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")  # + 0.0: no minus sign on zero


def counted(count: float, singular: str) -> str:
    return f"{number(count)} {singular}" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """The two largest units: "2 days 3 hours", "40 minutes", "less than a minute"."""
    minutes = int(seconds // 60)
    amounts = (minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute")
    return " ".join([counted(amount, unit) for amount, unit in amounts if amount][:2]) or "less than a minute"


def lateness(standing: Standing) -> str:
    """The late penalty in a sentence; "" for work on time."""
    if standing.seconds_late <= 0:
        return ""
    late = f"Handed in {duration(standing.seconds_late)} late"
    if standing.report.score <= 0:
        return f"{late}."
    if standing.late_penalty <= 0:
        return f"{late}: no points were taken off."
    return f"{late}: {counted(standing.late_penalty, 'point')} off, {number(standing.report.score)} became {number(standing.final_score)}."


def sentence(words: str) -> str:
    """A message that begins with an article, as the assertions' do, with its capital letter."""
    return words[0].upper() + words[1:] if words.startswith(("the ", "a ", "an ")) else words
