"""`autograder grade`: what is graded, what is not, and what is left as it was."""

from __future__ import annotations

import csv
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest
from tiny_class import ZEROS, InlineExecutor, TinyClass


def test_a_class_is_graded_and_the_scores_are_no_matter_of_the_exit_code(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    assert tiny.grade() == 0
    status = {student: report["status"] for (student, assignment), report in tiny.reports().items() if assignment == "01_attention"}
    assert status == {"ann": "graded", "bob": "broken", "cem": "missing"}
    assert len(tiny.reports()) == 6
    with open(tiny.results / "grades.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["student"], row["status"], row["attempt"]) for row in rows if row["assignment"] == "01_attention"] == [
        ("ann", "graded", "1"), ("bob", "broken", "1"), ("cem", "missing", "0"),
    ]  # fmt: skip
    assert all((tiny.results / row["report"]).is_file() for row in rows)
    assert list((tiny.results / "feedback").iterdir())
    out = capsys.readouterr()
    assert "graded 6 of 6" in out.out
    assert out.err == ""


def test_a_second_run_grades_nothing(tiny: TinyClass, inline: InlineExecutor) -> None:
    assert tiny.grade() == 0
    before = tiny.files()
    inline.submitted.clear()
    assert tiny.grade() == 0
    assert inline.submitted == []
    assert tiny.files() == before


def test_a_changed_submission_is_graded_again_and_no_other(tiny: TinyClass, inline: InlineExecutor) -> None:
    tiny.grade()
    before = tiny.files()
    inline.submitted.clear()
    tiny.hand_in("ann", ZEROS + "\n# once more\n")
    assert tiny.grade() == 0
    assert inline.submitted == ["ann"]
    assert tiny.reports()["ann", "01_attention"]["attempt"] == 2
    after = tiny.files()
    changed = {name for name in after if after[name] != before.get(name)}
    assert {name.rpartition("/")[0] for name in changed} == {"01_attention/ann"}
    assert before.keys() <= after.keys()


def test_an_older_version_handed_in_again_counts_again_without_being_graded(tiny: TinyClass, inline: InlineExecutor) -> None:
    tiny.grade()
    first = tiny.reports()["ann", "01_attention"]
    tiny.hand_in("ann", ZEROS + "\n# worse\n")
    tiny.grade()
    tiny.hand_in("ann", ZEROS)
    inline.submitted.clear()
    assert tiny.grade() == 0
    assert inline.submitted == []
    assert tiny.reports()["ann", "01_attention"] == first


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--assignment", "attention"], ["ann", "bob", "cem"]),
        (["--assignment", "02"], ["ann", "bob", "cem"]),
        (["--student", "bob"], ["bob", "bob"]),
        (["--student", "ann", "--assignment", "01_attention"], ["ann"]),
    ],
)
def test_a_run_can_be_narrowed(tiny: TinyClass, inline: InlineExecutor, options: list[str], expected: list[str]) -> None:
    assert tiny.grade(*options) == 0
    assert inline.submitted == expected


def test_force_grades_what_did_not_change(tiny: TinyClass, inline: InlineExecutor) -> None:
    tiny.grade()
    before = tiny.reports()
    inline.submitted.clear()
    assert tiny.grade("--force", "--student", "ann", "--assignment", "01") == 0
    assert inline.submitted == ["ann"]
    after = tiny.reports()
    assert after["ann", "01_attention"]["graded_at"] > before["ann", "01_attention"]["graded_at"]
    assert after["ann", "01_attention"]["attempt"] == 1
    del before["ann", "01_attention"], after["ann", "01_attention"]
    assert after == before


def test_a_submission_that_breaks_the_grader_leaves_the_others_their_grades(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    def fail_for_ann(task: Any) -> None:
        if task.student == "ann":
            raise RuntimeError("a mistake\nof the grader")

    inline.before = fail_for_ann
    assert tiny.grade("--assignment", "01") == 1
    assert {student for student, _ in tiny.reports()} == {"bob", "cem"}
    assert "ann, 01_attention: the grader made an error of its own (RuntimeError: a mistake of the grader)" in capsys.readouterr().out
    inline.before = lambda _task: None
    assert tiny.grade("--assignment", "01") == 0
    assert {student for student, _ in tiny.reports()} == {"ann", "bob", "cem"}


def test_a_graders_process_that_dies_costs_only_the_submission_that_kills_it(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    def die_for_bob(task: Any) -> None:
        if task.student == "bob":
            raise BrokenProcessPool

    inline.before = die_for_bob
    assert tiny.grade("--assignment", "01") == 1
    assert {student for student, _ in tiny.reports()} == {"ann", "cem"}
    assert "bob, 01_attention: the grader's own process died" in capsys.readouterr().out


def test_a_run_that_is_stopped_keeps_what_it_has_and_goes_on_later(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    def stop_at_cem(task: Any) -> None:
        if task.student == "cem":
            raise KeyboardInterrupt

    inline.before = stop_at_cem
    assert tiny.grade("--assignment", "01", "--jobs", "1") == 130
    assert "Stopped. What was graded is kept" in capsys.readouterr().out
    kept = tiny.files()
    inline.before = lambda _task: None
    inline.submitted.clear()
    assert tiny.grade("--assignment", "01") == 0
    assert "cem" in inline.submitted
    assert len(tiny.reports()) == 3
    assert all(tiny.files()[name] == content for name, content in kept.items())


def test_two_graders_at_once_on_one_folder_agree(tiny: TinyClass, inline: InlineExecutor) -> None:
    """The second one runs from beginning to end while the first has only begun."""

    def run_the_other(task: Any) -> None:
        inline.before = lambda _task: None
        tiny.hand_in("ann", ZEROS + "\n# handed in meanwhile\n")
        assert tiny.grade() == 0

    inline.before = run_the_other
    assert tiny.grade() == 0
    assert len(tiny.reports()) == 6
    assert not [name for name in tiny.files() if name.endswith(".tmp")]
    assert tiny.grade() == 0
    assert tiny.reports()["ann", "01_attention"]["submission_sha256"] != ""
    attempts = [report["attempt"] for report in tiny.reports().values()]
    assert max(attempts) <= 2


def test_a_new_student_and_a_student_who_left_do_not_touch_the_others(tiny: TinyClass, inline: InlineExecutor) -> None:
    tiny.grade()
    before = tiny.files()
    tiny.hand_in("dee", ZEROS)
    (tiny.submissions / "cem").rmdir()
    inline.submitted.clear()
    assert tiny.grade() == 0
    assert inline.submitted == ["dee", "dee"]
    assert all(tiny.files()[name] == content for name, content in before.items())


STRANGE = """a b|q"uo'te|emoji 🤖|=cmd()|<script>alert(1)<|-rf|\x1b[2J|[bold red]|%(x)s {y}|ünï|u\u0308|back\\slash|tab\t|~|aux.|new\nline""".split(
    "|"
)


def test_names_of_any_kind_are_graded_or_refused_each_for_itself(tiny: TinyClass, inline: InlineExecutor, capsys: Any) -> None:
    for name in STRANGE:
        tiny.hand_in(name, ZEROS if name == "a b" else "")
    code = tiny.grade("--assignment", "01")
    out = capsys.readouterr().out
    graded = {student for student, _ in tiny.reports()}
    assert {"ann", "bob", "cem", "a b", "=cmd()", "-rf"} <= graded
    assert code == 0
    assert set(STRANGE) - graded == {"back\\slash"}
    assert "holds a path separator" in out.replace("\n", " ")
    assert "\x1b[2J" not in out
    with open(tiny.results / "grades.csv", newline="") as file:
        assert {"'=cmd()", "'-rf"} <= {row["student"] for row in csv.DictReader(file)}


def test_a_folder_that_is_no_text_is_graded_too(tiny: TinyClass, inline: InlineExecutor) -> None:
    import os

    name = os.fsdecode(b"\xff\xfe")
    try:
        (tiny.submissions / name / "01_attention").mkdir(parents=True)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    assert tiny.grade("--assignment", "01") == 0
    assert {student for student, _ in tiny.reports()} >= {"ann", "bob", "cem"}
    assert len(list((tiny.results / "01_attention").iterdir())) == 4
