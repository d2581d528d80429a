"""The clock is set back between gradings: what was handed in last still counts, and attempts keep their numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tiny_class import InlineExecutor, TinyClass

from autograder.results.atomic import LedgerError
from autograder.results.ledger import Ledger


def test_a_clock_that_goes_back_changes_no_grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [datetime(2026, 10, 5, 12, tzinfo=UTC)]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            now[0] -= timedelta(hours=1)
            return now[0]

    monkeypatch.setattr("autograder.grading.grade.datetime", Clock)
    monkeypatch.setattr("autograder.commands.grade.local_executor", lambda _jobs: InlineExecutor())
    monkeypatch.setattr("autograder.commands.publish.write_class_report", lambda folder, *_rest: folder / "class_report.html")
    monkeypatch.setenv("AUTOGRADER_SECRET", "a secret of the tests")
    tiny = TinyClass.make(tmp_path)
    versions = [f"def padding_mask(:  # version {number}\n" for number in range(3)]

    def graded(text: str) -> tuple[int, str]:
        tiny.hand_in("bob", text)
        assert tiny.grade("--assignment", "01", "--student", "bob", sandbox="off") == 0
        report = tiny.reports()["bob", "01_attention"]
        return report["attempt"], report["submission_sha256"]

    first, second = graded(versions[0]), graded(versions[1])

    def stop(*_: object) -> None:
        raise LedgerError("stopped between a report and its mark")

    with monkeypatch.context() as patch:  # the newest by the clock is now the oldest
        patch.setattr(Ledger, "mark_current", stop)
        tiny.hand_in("bob", versions[2])
        assert tiny.grade("--assignment", "01", "--student", "bob", sandbox="off") == 2
    third = graded(versions[2])
    assert [first[0], second[0], third[0]] == [1, 2, 3]
    assert len({first[1], second[1], third[1]}) == 3
    times = [report.graded_at for report in Ledger(tiny.results).history("01_attention", "bob")]
    assert len(times) == 3
    assert (graded(versions[0]), graded(versions[1]), graded(versions[2])) == (first, second, third)
    assert ",3," in (tiny.results / "grades.csv").read_text()
