"""The ledger keeps what was written, whatever else lies in its folder and whenever a run is killed."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.course.names import SafeNameError
from autograder.results.ledger import Ledger, LedgerError

FOLDER = Path("01_attention", "ann")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "results")


def _files(ledger: Ledger) -> set[str]:
    return {path.name for path in (ledger.folder / FOLDER).iterdir()}


def test_what_is_written_is_found_again(ledger: Ledger, make_report) -> None:
    path = ledger.write(make_report())
    assert path == ledger.folder / FOLDER / "f1.json"
    assert ledger.find("01_attention", "ann", "f1") == make_report()
    assert ledger.find("01_attention", "ann", "f2") is None
    assert _files(ledger) == {"f1.json"}
    assert ledger.problems == ()


@pytest.mark.parametrize("student", ["Ann Lee", "한 🦜", 'o\'brien "x"', "-rf", "caf\udce9", "=1+1"])
def test_any_name_of_a_folder_is_a_student(ledger: Ledger, make_report, student: str) -> None:
    ledger.write(make_report(student=student))
    assert [report.student for report in Ledger(ledger.folder).all_current()] == [student]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../ann", "a\\b", "a\0b", "x" * 256])
def test_a_name_that_leads_elsewhere_is_refused(ledger: Ledger, make_report, name: str) -> None:
    for report in (make_report(student=name), make_report(assignment=name)):
        with pytest.raises(SafeNameError):
            ledger.write(report)
    with pytest.raises(SafeNameError):
        ledger.current("01_attention", name)
    with pytest.raises(ValueError, match="fingerprint"):
        ledger.write(make_report(fingerprint="../../f"))
    assert not ledger.folder.exists()


def test_an_older_version_handed_in_again_counts_again(ledger: Ledger, make_report) -> None:
    older, newer = make_report(), make_report(fingerprint="f2", submission_sha256="dd", graded_at="2026-10-07T08:00:00+00:00")
    for report in (older, newer, older):
        ledger.write(report)
        ledger.mark_current(report)
    assert ledger.current("01_attention", "ann") == older
    assert ledger.all_current() == [older]


def test_without_a_mark_the_newest_report_counts(ledger: Ledger, make_report) -> None:
    newer = make_report(fingerprint="a", graded_at="2026-10-07T01:00:00+09:00")
    older = make_report(fingerprint="b", graded_at="2026-10-06T15:30:00+00:00")
    ledger.write(newer)
    ledger.write(older)
    assert ledger.current("01_attention", "ann") == newer
    assert ledger.history("01_attention", "ann") == [older, newer]


def test_attempts_count_different_submissions(ledger: Ledger, make_report) -> None:
    assert ledger.next_attempt("01_attention", "ann", "") == 0
    assert ledger.next_attempt("01_attention", "ann", "aa") == 1
    ledger.write(make_report())
    assert ledger.next_attempt("01_attention", "ann", "aa") == 1
    assert ledger.next_attempt("01_attention", "ann", "dd") == 2
    ledger.write(make_report(fingerprint="f2", submission_sha256="dd", attempt=2))
    ledger.write(make_report(fingerprint="f3", submission_sha256="aa", attempt=1))
    ledger.write(make_report(fingerprint="f4", submission_sha256="", attempt=2))
    assert ledger.next_attempt("01_attention", "ann", "ee") == 3
    assert ledger.next_attempt("01_attention", "ann", "") == 2
    assert ledger.next_attempt("01_attention", "ben", "aa") == 1


@pytest.mark.parametrize(
    "content",
    [b"", b'{"schema_version": 1', b'{"schema_version": 2}', b"[]", b"\xff", b'{"schema_version": 1, "student": 3}'],
    ids=["empty", "cut off", "future", "list", "not UTF-8", "incomplete"],
)
def test_what_is_not_a_report_is_reported_and_kept(ledger: Ledger, make_report, content: bytes) -> None:
    path = ledger.write(make_report())
    path.write_bytes(content)
    assert ledger.find("01_attention", "ann", "f1") is None
    assert ledger.all_current() == []
    assert len(ledger.problems) == 1
    assert "f1.json is not a report" in ledger.problems[0]
    assert path.read_bytes() == content

    ledger.write(make_report())
    assert ledger.find("01_attention", "ann", "f1") == make_report()
    assert (path.parent / "f1.unreadable-1").read_bytes() == content
    assert ledger.problems == ()


@pytest.mark.parametrize("change", [{"student": "ben"}, {"assignment": "02_x"}, {"fingerprint": "f9"}, {"score": float("nan")}, {"graded_at": "now"}])
def test_a_report_that_contradicts_its_place_or_itself_is_none(ledger: Ledger, make_report, change: dict[str, object]) -> None:
    from autograder.reports.model import to_json

    path = ledger.write(make_report())
    path.write_text(to_json(replace(make_report(), **change)))
    assert ledger.find("01_attention", "ann", "f1") is None
    assert len(ledger.problems) == 1


def test_a_mark_that_names_no_report_is_reported(ledger: Ledger, make_report) -> None:
    ledger.write(make_report())
    (ledger.folder / FOLDER / "current").write_text("../../secret\n")
    assert ledger.current("01_attention", "ann") is None
    assert "../../secret" in ledger.problems[0]
    ledger.mark_current(make_report())
    assert ledger.current("01_attention", "ann") == make_report()
    assert ledger.problems == ()


def test_a_report_is_not_replaced_by_one_with_fewer_tests(ledger: Ledger, make_report) -> None:
    ledger.write(make_report())
    with pytest.raises(LedgerError, match="holds 2 tests and is kept"):
        ledger.write(make_report(tests=make_report().tests[:1]))
    ledger.write(make_report(wall_seconds=9.0))
    assert ledger.find("01_attention", "ann", "f1") == make_report(wall_seconds=9.0)


@pytest.mark.parametrize(("code", "advice"), [(errno.ENOSPC, "make room on the disk"), (errno.EROFS, "make the folder writable")])
def test_a_full_or_read_only_disk_leaves_what_was_there(ledger: Ledger, make_report, monkeypatch: pytest.MonkeyPatch, code: int, advice: str) -> None:
    ledger.write(make_report())

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    for report in (make_report(score=1.0), make_report(fingerprint="f2")):
        with pytest.raises(LedgerError, match=rf"{report.fingerprint}\.json cannot be written: .*{advice}"):
            ledger.write(report)
    assert _files(ledger) == {"f1.json"}
    assert ledger.find("01_attention", "ann", "f1") == make_report()


def test_a_file_where_the_results_folder_should_be_is_named(tmp_path: Path, make_report) -> None:
    (tmp_path / "results").write_text("")
    ledger = Ledger(tmp_path / "results")
    with pytest.raises(LedgerError, match="results"):
        ledger.write(make_report())
    with pytest.raises(LedgerError, match="results cannot be read"):
        ledger.all_current()


def test_leftovers_of_a_killed_run_are_ignored_and_cleaned_once_nobody_can_own_them(ledger: Ledger, make_report) -> None:
    ledger.write(make_report())
    fresh, old = ledger.folder / FOLDER / ".aaaa.tmp", ledger.folder / FOLDER / ".bbbb.tmp"
    for path in (fresh, old):
        path.write_text("{")
    os.utime(old, (time.time() - 7200,) * 2)
    assert ledger.history("01_attention", "ann") == [make_report()]
    ledger.write(make_report(fingerprint="f2"))
    assert _files(ledger) == {"f1.json", "f2.json", ".aaaa.tmp"}
    assert ledger.problems == ()


def test_other_things_in_the_results_folder_are_no_reports(ledger: Ledger, make_report) -> None:
    ledger.write(make_report())
    (ledger.folder / "feedback" / "ann").mkdir(parents=True)
    (ledger.folder / "01_attention" / "summary.html").write_text("")
    (ledger.folder / "grades.csv").write_text("")
    assert ledger.all_current() == [make_report()]
    assert ledger.problems == ()


def test_an_empty_ledger_has_no_reports(ledger: Ledger) -> None:
    assert ledger.all_current() == []
    assert ledger.current("01_attention", "ann") is None
