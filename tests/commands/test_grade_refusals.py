"""What cannot be graded, or cannot be written, is said in one message; nothing written before is lost."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_class import COURSE, ZEROS, InlineExecutor, TinyClass
from warm_grader import sandbox_mode, warm_grader

from autograder.hidden_tests.rules import rules_of
from autograder.reports.model import Isolation
from autograder.sandbox import probe
from autograder.sandbox.errors import SandboxError


def refused(tiny: TinyClass, capsys: Any, *more: str, **options: str) -> str:
    """The message of a run that could not grade: one line or a short list, on stderr, without a traceback."""
    before = tiny.files()
    assert tiny.grade(*more, **options) == 2
    message: str = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "Traceback" not in message
    assert tiny.files() == before
    return message


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--assignment", "atention", "attention"),
        ("--assignment", "99", "01_attention"),
        ("--assignment", "../01_attention", "01_attention"),
        ("--student", "an", "did you mean ann?"),
        ("--student", "../ann", "there is no student '../ann'"),
        ("--student", "zzz", "it holds 3 students"),
        ("--roster", "nowhere.csv", "the roster nowhere.csv does not exist"),
    ],
)
def test_an_unknown_name_is_answered_by_the_ones_that_are_known(
    tiny: TinyClass, inline: InlineExecutor, capsys: Any, option: str, value: str, words: str
) -> None:
    tiny.grade("--assignment", "01")
    capsys.readouterr()
    assert words in refused(tiny, capsys, option, value)


def test_a_folder_of_submissions_that_is_none(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    moved = tiny.folder / "moved"
    tiny.submissions.rename(moved)
    assert "there is no folder" in refused(tiny, capsys)
    tiny.submissions.write_text("")
    assert "is not a folder" in refused(tiny, capsys)
    tiny.submissions.unlink()
    tiny.submissions.mkdir()
    (tiny.submissions / "README.md").write_text("")
    assert "holds no student's folder" in refused(tiny, capsys)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "course"),
        ("[course\n", "course.toml"),
        (COURSE.replace("points = 20", "points = -1"), "points is -1"),
        (COURSE.replace("call_seconds", "call_secs"), "did you mean 'call_seconds'?"),
        (COURSE.replace('"01_attention"', '"attention"'), "01_attention"),
        (COURSE.replace("02_positional_encoding", "01_attention"), "share"),
        ("\0", "course.toml"),
    ],
)
def test_a_course_that_cannot_be_read_is_named_with_its_mistake(tiny: TinyClass, inline: InlineExecutor, capsys: Any, text: str, words: str) -> None:
    (tiny.folder / "course.toml").write_text(text)
    assert words in refused(tiny, capsys)
    (tiny.folder / "course.toml").unlink()
    assert "course.toml" in refused(tiny, capsys)


def test_an_assignment_without_a_hidden_suite(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    (tiny.folder / "course.toml").write_text(COURSE.replace("02_positional_encoding", "02_unheard_of"))
    assert "is missing: the assignment 'unheard_of' cannot be graded" in refused(tiny, capsys, "--assignment", "02")
    assert tiny.grade() == 0  # without it, the rest is graded
    assert {assignment for _, assignment in tiny.reports()} == {"01_attention"}


def test_results_that_cannot_be_written(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    tiny.results.write_text("a file in the folder's place")
    assert tiny.grade() == 2
    assert "results" in capsys.readouterr().err
    assert tiny.results.read_text() == "a file in the folder's place"


def test_a_report_that_cannot_be_written_keeps_those_before_it(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    (tiny.results / "01_attention").mkdir(parents=True)
    (tiny.results / "01_attention" / "bob").write_text("a file in the folder's place")
    assert tiny.grade("--assignment", "01") == 2
    assert "bob" in capsys.readouterr().err
    assert {student for student, _ in tiny.reports()} >= {"ann"}
    (tiny.results / "01_attention" / "bob").unlink()
    assert tiny.grade("--assignment", "01") == 0
    assert len(tiny.reports()) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_of_results(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    tiny.grade()
    kept = tiny.files()
    tiny.hand_in("ann", ZEROS + "\n# new\n")
    folders = [tiny.results, *(path for path in tiny.results.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        assert "make the folder writable" in refused(tiny, capsys)
        assert tiny.files() == kept
    finally:
        for folder in folders:
            folder.chmod(0o700)


@pytest.fixture
def small_disk(tiny: TinyClass) -> Iterator[Path]:
    """The folder of results on a disk of one megabyte."""
    tiny.results.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tiny.results)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield tiny.results
    subprocess.run(["umount", "-l", str(tiny.results)], check=True)


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def test_a_full_disk_loses_nothing_that_was_written(tiny: TinyClass, inline: InlineExecutor, capsys: Any, small_disk: Path) -> None:
    tiny.grade("--student", "bob", "--assignment", "01")
    kept = tiny.files()
    capsys.readouterr()
    filler = small_disk / "filler"
    _fill(filler)
    assert tiny.grade("--assignment", "01") != 0
    shown = capsys.readouterr()
    assert "No space left on device; make room" in shown.err + shown.out
    assert "Traceback" not in shown.err
    assert all(tiny.files()[name] == content for name, content in kept.items())
    assert not list(small_disk.rglob("*.tmp"))
    filler.unlink()
    assert tiny.grade("--assignment", "01") == 0
    assert len(tiny.reports()) == 3


def test_a_damaged_report_is_set_aside_and_the_others_are_kept(tiny: TinyClass, inline: InlineExecutor) -> None:
    tiny.grade()
    kept = tiny.reports()
    (report,) = (path for path in (tiny.results / "01_attention" / "ann").glob("*.json"))
    report.write_text(report.read_text()[:200])
    damaged = report.read_text()
    assert tiny.grade() == 0
    (aside,) = report.parent.glob("*.unreadable-1")
    assert aside.read_text() == damaged
    after = tiny.reports()
    assert after["ann", "01_attention"]["score"] == kept["ann", "01_attention"]["score"]
    assert {key: value for key, value in after.items() if key[0] != "ann"} == {key: value for key, value in kept.items() if key[0] != "ann"}


def test_a_foreign_gradebook_is_left_alone_and_the_grades_are_kept(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    pytest.importorskip("nbgrader")
    path = tiny.folder / "foreign.db"
    with sqlite3.connect(path) as database:
        database.execute("create table holidays (place text)")
    before = path.read_bytes()
    assert tiny.grade("--assignment", "01", gradebook=f"sqlite:///{path}") == 1
    assert "foreign.db" in capsys.readouterr().out
    assert path.read_bytes() == before
    path.write_bytes(b"not a database at all" * 100)
    assert tiny.grade("--assignment", "01", gradebook=f"sqlite:///{path}") == 1
    assert path.read_bytes() == b"not a database at all" * 100
    assert len(tiny.reports()) == 3
    assert (tiny.results / "grades.csv").is_file()


def test_a_locked_gradebook_costs_no_grade(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    pytest.importorskip("nbgrader")
    path = tiny.folder / "gradebook.db"
    url = f"sqlite:///{path}?timeout=0.2"  # for how long a lock is waited for
    assert tiny.grade("--assignment", "01", gradebook=url) == 0
    tiny.hand_in("ann", ZEROS + "\n# new\n")
    capsys.readouterr()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin exclusive")
        assert tiny.grade("--assignment", "01", gradebook=url) == 1
        other.execute("rollback")
    assert "another program holds it" in " ".join(capsys.readouterr().out.split())
    assert tiny.reports()["ann", "01_attention"]["attempt"] == 2
    assert tiny.grade("--assignment", "01", gradebook=url) == 0


@pytest.mark.parametrize("url", ["nonsense", "postgresql://nobody@127.0.0.1:1/none", "sqlite:////nowhere/at/all/gradebook.db"])
def test_a_gradebook_that_cannot_be_reached_costs_no_grade(tiny: TinyClass, inline: InlineExecutor, capsys: Any, url: str) -> None:
    pytest.importorskip("nbgrader")
    assert tiny.grade("--assignment", "01", gradebook=url) == 1
    shown = capsys.readouterr()
    assert "error: " in shown.out
    assert "Traceback" not in shown.out + shown.err
    assert len(tiny.reports()) == 3


def test_without_isolation_nothing_is_graded_and_the_message_says_what_is_missing(
    tiny: TinyClass, inline: InlineExecutor, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_here(_mode: str, _rules: object) -> None:
        raise SandboxError(probe.advice([probe.DOORS["network"]]))

    monkeypatch.setattr(warm_grader()._zygotes, "of", none_here)
    assert tiny.grade("--assignment", "01", sandbox="require") == 2
    message = capsys.readouterr().err
    for words in ("--sandbox require", "no network", "autograder doctor", "--sandbox best"):
        assert words in message
    assert "Traceback" not in message
    assert {student for student, _ in tiny.reports()} <= {"cem"}  # who handed nothing in


@pytest.mark.parametrize(
    ("mode", "missing", "words"),
    [("off", (), "The sandbox was off"), ("best", ("seccomp (this system has none)",), "could not give: seccomp")],
)
def test_weaker_isolation_is_said_at_the_end_and_in_every_report(
    tiny: TinyClass, inline: InlineExecutor, capsys: Any, monkeypatch: pytest.MonkeyPatch, mode: str, missing: tuple[str, ...], words: str
) -> None:
    zygote = warm_grader()._zygotes.of(sandbox_mode(), rules_of("attention"))
    monkeypatch.setattr(zygote, "isolation", Isolation(mode, ("process", "rlimits"), missing))
    monkeypatch.setattr(warm_grader()._zygotes, "of", lambda _mode, _rules: zygote)
    assert tiny.grade("--assignment", "01", sandbox=mode) == 0
    assert {report["sandbox"]["mode"] for report in tiny.reports().values()} == {mode}
    assert tiny.reports()["ann", "01_attention"]["sandbox"] == {"mode": mode, "layers": ["process", "rlimits"], "missing": list(missing)}
    assert words in " ".join(capsys.readouterr().out.split())
    assert "process+rlimits" in (tiny.results / "grades.csv").read_text()


def test_a_mistake_in_the_command_line_is_explained(tiny: TinyClass, capsys: Any) -> None:
    for more in (["--jobs", "0"], ["--jobs", "many"], ["--sandbox", "maybe"], ["--unknown"]):
        with pytest.raises(SystemExit) as caught:
            tiny.grade(*more)
        assert caught.value.code == 2
        assert more[0] in capsys.readouterr().err
