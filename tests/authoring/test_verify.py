"""`make verify`: the suites are proved, and a proof that fails says why."""

from __future__ import annotations

import dataclasses
import re

import pytest

from autograder.authoring.examine import Examination, Margins
from autograder.authoring.kill_matrix import kill_matrix_markdown
from autograder.authoring.verify import KILL_MATRICES, SEEDS, examine_all, judge
from autograder.course.course import load_course
from autograder.grading.paths import REPOSITORY
from autograder.misconceptions.bank import Misconception, load_bank, load_kills
from autograder.reports.model import Diagnosis, Outcome, Status

COURSE = load_course(REPOSITORY / "course.toml")


@pytest.fixture(scope="module")
def proofs():
    # Right solutions in the sandbox, mistakes in this process; `make verify` does it all in full.
    found = examine_all(COURSE, COURSE.assignments, jobs=None, progress=lambda done, total: None, seeds=SEEDS[:1], rehearse_mistakes=True)
    return {assignment.name: judge(COURSE, assignment, found[assignment.name]) for assignment in COURSE.assignments}


@pytest.mark.parametrize("assignment", COURSE.assignments, ids=lambda assignment: assignment.name)
def test_the_suite_is_proved(proofs, assignment):
    assert proofs[assignment.name].problems == []


@pytest.mark.parametrize("assignment", COURSE.assignments, ids=lambda assignment: assignment.name)
def test_the_published_kill_matrix_is_what_the_suite_gives(proofs, assignment):
    """Its tests, mistakes and sentences word for word; of its marks those that rehearsals see."""
    proof = proofs[assignment.name]
    wrong = {name: entry.report for name, entry in proof.wrong.items()}
    now = kill_matrix_markdown(assignment, proof.bank, proof.reference.report, wrong)
    published = (KILL_MATRICES / f"{assignment.name}.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z0-9-]+) \| (.*) \| [0-9.]+ of [0-9.]+ \| (yes|no) \|$", published, re.MULTILINE)
    assert [name for name, _, _ in rows] == [entry.name for entry in proof.bank]
    assert {named for _, _, named in rows} == {"yes"}
    assert published.partition("## The tests")[2] == now.partition("## The tests")[2]
    known = load_kills(assignment.name)
    ids = [test.id for test in proof.reference.report.tests]
    for name, marks, _ in rows:
        failed = {test for test, mark in zip(ids, marks.split(" | "), strict=True) if mark.strip()}
        assert failed & known[name], name
        assert {test.id for test in wrong[name].tests if test.points < test.max_points} <= known[name] | failed, name


@pytest.mark.parametrize("assignment", COURSE.assignments, ids=lambda assignment: assignment.name)
def test_banks_and_alternatives_are_large_enough(proofs, assignment):
    assert len(proofs[assignment.name].bank) >= 14
    assert len(proofs[assignment.name].right) >= 6


def broken(proofs, title, **changes):
    """The examinations of 01 with one of them changed."""
    proof = proofs["attention"]
    found = {"reference": proof.reference, "stub": proof.stub}
    found |= {f"right: {name}": entry for name, entry in proof.right.items()} | {f"wrong: {name}": entry for name, entry in proof.wrong.items()}
    found[title] = dataclasses.replace(found[title], **changes)
    return judge(COURSE, COURSE.assignments[0], found).problems


def with_first_test(examination: Examination, **changes):
    tests = examination.report.tests
    report = dataclasses.replace(examination.report, tests=(dataclasses.replace(tests[0], **changes), *tests[1:]))
    return dataclasses.replace(report, score=sum(test.points for test in report.tests))


def test_a_right_solution_that_fails_is_a_problem(proofs):
    report = with_first_test(proofs["attention"].reference, outcome=Outcome.FAILED, points=0.0, message="off")
    assert any("the reference is right and fails" in problem for problem in broken(proofs, "reference", report=report))


def test_a_verdict_that_hangs_on_the_seed_is_a_problem(proofs):
    name = proofs["attention"].bank[0].name
    assert any("for another seed" in problem for problem in broken(proofs, f"wrong: {name}", failed=(frozenset(),)))
    assert any("for another seed" in problem for problem in broken(proofs, "reference", failed=(frozenset({"test_x"}),)))


def test_a_misconception_that_passes_is_a_problem(proofs):
    name = proofs["attention"].bank[0].name
    report = dataclasses.replace(proofs["attention"].reference.report)
    assert f"the misconception {name} gets full marks" in broken(proofs, f"wrong: {name}", report=report)


def test_a_misconception_taken_for_another_is_a_problem(proofs):
    name = proofs["attention"].bank[0].name
    examination = proofs["attention"].wrong[name]
    tests = tuple(
        dataclasses.replace(test, misconception=Diagnosis("other", "…") if test.misconception else None) for test in examination.report.tests
    )
    problems = broken(proofs, f"wrong: {name}", report=dataclasses.replace(examination.report, tests=tests))
    assert f"the misconception {name} is not named" in problems
    assert f"the misconception {name} is taken for other" in problems


def test_a_stub_with_points_is_a_problem(proofs):
    report = with_first_test(proofs["attention"].stub, outcome=Outcome.PASSED, points=1.0, message="")
    assert "the stub gets 1 points" in broken(proofs, "stub", report=report)


def test_points_that_do_not_add_up_are_a_problem(proofs):
    report = dataclasses.replace(proofs["attention"].reference.report, max_score=21.0)
    assert any("course.toml says 20" in problem for problem in broken(proofs, "reference", report=report))


def test_a_right_solution_near_the_bound_is_a_problem(proofs):
    margins = {"test_x": Margins(largest_passed=0.5, tolerance="logic (float64)")}
    assert any("within a factor 2.0 of the bound" in problem for problem in broken(proofs, "reference", margins=margins))


def test_a_mistake_near_the_bound_is_a_problem(proofs):
    name = proofs["attention"].bank[0].name
    changes = {"failed": (frozenset({"test_x"}),), "margins": {"test_x": Margins(smallest_failed=3.0)}}
    assert any("by a factor 3.0 at most" in problem for problem in broken(proofs, f"wrong: {name}", **changes))


def test_a_broken_right_solution_is_a_problem(proofs):
    report = dataclasses.replace(proofs["attention"].reference.report, status=Status.BROKEN, message="no")
    assert any("is broken" in problem for problem in broken(proofs, "reference", report=report))


def test_kills_that_were_measured_for_another_suite_are_a_problem(proofs):
    name = proofs["attention"].bank[0].name
    failed = (frozenset({"test_that_is_new"}),)
    assert any("attention.json is out of step with the suite" in problem for problem in broken(proofs, f"wrong: {name}", failed=failed))


def test_an_edit_that_no_longer_fits_is_refused():
    entry = Misconception("gone", "…", (("not in the reference", "x"),))
    with pytest.raises(ValueError, match=r"misconception gone: .* occurs 0 times"):
        entry.apply("x = 1\n")


@pytest.mark.parametrize("assignment", COURSE.assignments, ids=lambda assignment: assignment.name)
def test_what_a_student_reads_is_a_sentence(assignment):
    for entry in load_bank(assignment.name):
        assert entry.says.endswith((".", "…")), entry.name
        assert len(entry.says) > 40, entry.name
