"""docs/report_schema.md against the reports that are written."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from autograder.reports.model import Outcome, Report, Status, TestResult, from_json

TEXT = (Path(__file__).parents[2] / "docs" / "report_schema.md").read_text(encoding="utf-8")


def _documented(heading: str) -> set[str]:
    """The names in the first column of the table that follows `heading`."""
    table = TEXT.split(heading, 1)[1].strip().split("\n\n")[0]
    return {name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])}


def test_every_field_is_documented_and_no_other() -> None:
    assert _documented("## Fields") == {field.name for field in fields(Report)}
    assert _documented("Each object of `tests`:") == {field.name for field in fields(TestResult)}


def test_every_status_and_outcome_is_documented() -> None:
    assert all(f"`{value}`" in TEXT for value in [*Status, *Outcome])


def test_the_example_is_a_report() -> None:
    report = from_json(re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[0])
    assert report.score == sum(test.points for test in report.tests)
    assert report.max_score == sum(test.max_points for test in report.tests)
