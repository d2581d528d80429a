"""Attacks on several graders: what there is to try, how it is counted, and a few of them in earnest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autograder.bench.security.attacks import GRADERS, HONEST, NBGRADER, OURS, PYTEST, honest, load_attacks
from autograder.bench.security.confined import available, run_confined, script
from autograder.bench.security.graders import Outcome, Trials
from autograder.bench.security.table import cell, gain, table

needs_bubblewrap = pytest.mark.skipif(not available(), reason="hostile code runs in bubblewrap only, which this machine does not have")


def test_every_attack_says_what_it_tries_and_is_python() -> None:
    attacks = load_attacks()
    assert len(attacks) >= 25
    for attack in attacks.values():
        assert attack.aim.endswith("."), attack.name
        assert set(attack.graders) <= set(GRADERS)
        compile(attack.source({"DROP": "/nowhere", "REPOSITORY": "/nowhere"}), attack.name, "exec")


def test_what_an_attack_is_meant_for_is_read_from_its_head() -> None:
    attacks = load_attacks()
    assert attacks["notebook_checks_stripped"].graders == (NBGRADER, "otter")
    assert attacks["pytest_files_written"].twice
    assert attacks["notebook_points_raised"].graders == (OURS, NBGRADER)
    assert attacks["tests_emptied"].graders == GRADERS


def test_a_gain_is_what_goes_beyond_the_honest_answer() -> None:
    assert gain(Outcome(7.5), Outcome(1.0)) == 6.5
    assert gain(Outcome(0.5), Outcome(1.0)) == 0
    assert gain(Outcome(None), Outcome(1.0)) is None


def test_cells_tell_points_leaks_and_missing_grades_apart() -> None:
    base = Outcome(0.0)
    assert cell(Outcome(19.0), base, True) == "**+19**"
    assert cell(Outcome(0.0), base, True) == "0"
    assert cell(Outcome(0.0, ("the reference",)), base, True) == "0, reads the reference"
    assert cell(Outcome(None), base, True) == "no grade"
    assert cell(None, base, False) == "—"


def test_the_last_rows_sum_up() -> None:
    attacks = load_attacks()
    chosen = [attacks["tests_emptied"], attacks["exit_at_import"], attacks["leak_environment"]]
    found = {
        HONEST: {PYTEST: Outcome(1.0)},
        "tests_emptied": {PYTEST: Outcome(20.0)},
        "exit_at_import": {PYTEST: Outcome(None)},
        "leak_environment": {PYTEST: Outcome(1.0, ("the grader's environment",))},
    }
    _, lines = table(found, chosen)
    assert [line[-1] for line in lines[-4:]] == ["1 of 3", "1 of 3", "1 of 3", "19"]


@needs_bubblewrap
def test_hostile_code_can_write_in_its_folder_only_and_leaves_no_process(tmp_path: Path) -> None:
    work, outside = tmp_path / "work", tmp_path / "outside"
    work.mkdir()
    outside.mkdir()
    lines = [f"echo x > {work}/inside", f"echo x > {outside}/escaped", "(sleep 1000 &)", f"ls /proc/{__import__('os').getpid()} && touch {work}/seen"]
    run_confined(script(lines, work / "run.sh"), {"PATH": "/usr/bin:/bin"}, work, work, 20)
    assert (work / "inside").exists()
    assert not (outside / "escaped").exists()
    assert not (work / "seen").exists()
    assert run_confined(["sleep", "1000"], {"PATH": "/usr/bin:/bin"}, work, work, 0.2) is None


@needs_bubblewrap
def test_an_attack_that_takes_full_marks_from_a_shared_process_gains_nothing_here(tmp_path: Path) -> None:
    trials, attack = Trials(tmp_path, Path(sys.executable)), load_attacks()["tests_emptied"]
    theirs = trials.attempt(PYTEST, attack)
    assert theirs.points is not None
    assert theirs.points > 15
    ours = trials.attempt_ours([honest(), attack, load_attacks()["reference_from_disk"]])
    assert {outcome.points for outcome in ours.values()} == {0.0}
    assert not any(outcome.leaks for outcome in ours.values())
    assert not list(tmp_path.iterdir())
