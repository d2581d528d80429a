"""Diagnosis: a failed test names the misconception whose answers equal the student's, and none when none does."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from toy import BANK, FOLDER, NAME, REFERENCE, grade_toy, toy_grader

from autograder.checking.submission import LocalSubmission
from autograder.grading.answers import OtherAnswerError, Rehearsal, Transcript, plain, same
from autograder.grading.errors import submission_error
from autograder.grading.suite import Suite
from autograder.misconceptions.bank import Misconception
from autograder.reports.model import Report


def named(report: Report) -> dict[str, str | None]:
    return {test.id: test.misconception.name if test.misconception else None for test in report.tests if test.outcome.value == "failed"}


@pytest.mark.parametrize("name", [entry.name for entry in BANK])
def test_each_mistake_is_named_by_every_test_that_it_fails(name: str) -> None:
    (entry,) = (entry for entry in BANK if entry.name == name)
    report = grade_toy(entry.apply(REFERENCE))
    assert report.score < report.max_score
    assert set(named(report).values()) == {name}


def rewritten(half: str, check: str = "if not x.is_floating_point(): raise ValueError('floats only')") -> str:
    return REFERENCE.replace(
        '    if not x.is_floating_point():\n        raise ValueError(f"x must be floating point, got {x.dtype}")\n    return x / 2',
        f"    {check}\n    {half}",
    )


@pytest.mark.parametrize(
    "half", ["return x * 2.0", "return x + x", "return sum([x, x])", "return (x.float() * 2).to(x.dtype) if x.dtype == torch.float32 else 2 * x"]
)
def test_a_mistake_is_known_by_its_answers_however_it_is_written(half: str) -> None:
    assert named(grade_toy(rewritten(half)))["test_halves"] == "doubles"


@pytest.mark.parametrize(
    "half", ["return x / 2 + 1e-3", "return x / 3", "return None", "return x.int()", "raise TypeError", "return (x / 2)[0]", "return x * 2.0001"]
)
def test_an_unknown_mistake_is_not_given_a_name(half: str) -> None:
    assert named(grade_toy(rewritten(half)))["test_halves"] is None


def test_the_right_answer_has_no_diagnosis() -> None:
    assert named(grade_toy(REFERENCE)) == {}


def test_two_mistakes_at_once_are_both_named_where_each_shows() -> None:
    source = REFERENCE.replace("return x / 2", "return x * 2").replace("x * self.weight", "x + self.weight")
    found = named(grade_toy(source))
    assert found["test_halves"] == "doubles"
    assert found["test_scales"] == "adds-weight"


def test_of_two_mistakes_with_the_same_answers_the_one_that_explains_more_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from autograder.grading import grade as module

    both = Misconception("both", "", (("return x / 2", "return x * 2"), ("x * self.weight", "x + self.weight")))
    monkeypatch.setattr(module, "load_bank", lambda _name: (*BANK, both))
    monkeypatch.setattr(toy_grader(), "_diagnosticians", {})
    one, two = (grade_toy(entry.apply(REFERENCE)) for entry in (BANK[0], both))
    assert named(one)["test_halves"] == "doubles"  # "both" would break what is right here
    assert set(named(two).values()) == {"both"}


def test_answers_too_large_to_keep_are_not_kept() -> None:
    transcript = Transcript()
    transcript.note(torch.zeros(10))
    assert len(transcript.answers) == 1
    for _ in range(3):
        transcript.note((torch.zeros(2**21), torch.zeros(2**21)))
    assert transcript.answers == []
    assert grade_toy(rewritten("return torch.zeros(2**23)")).score < 9


def test_answers_are_the_same_but_for_rounding() -> None:
    x = torch.randn(3, dtype=torch.float64)
    nan = torch.tensor([float("nan"), float("inf")])
    assert same(x, x + 1e-12)
    assert same(nan, nan.clone())
    assert same((1, "a", None, True, 0.5), (1, "a", None, True, 0.5 + 1e-13))
    for other in (x + 1e-6, x.float(), x[:2], x[None], None, 1.0):
        assert not same(x, other)
    assert not same(1, True)
    assert not same(torch.tensor([1]), torch.tensor([2]))
    assert not same((1, 2), (1, 2, 3))


def test_errors_count_by_their_built_in_type_and_objects_by_being_some() -> None:
    assert plain(submission_error(["MyError", "ValueError"], "one text", 3)) == plain(ValueError("another text")) == ("error", "ValueError")
    assert plain(object()) == plain(REFERENCE.__class__) == ("object",)


def test_a_rehearsal_stops_at_the_first_other_answer() -> None:
    transcript = Transcript()
    transcript.note(1)
    transcript.note(2)
    rehearsal = Rehearsal(transcript)
    rehearsal.note(1)
    assert not rehearsal.complete
    for other in (3, "2", None):
        with pytest.raises(OtherAnswerError):
            Rehearsal(transcript, 1).note(other)
    rehearsal.note(2)
    assert rehearsal.complete
    with pytest.raises(OtherAnswerError):
        rehearsal.note(2)


def test_every_edit_of_the_bank_fits_the_reference() -> None:
    with pytest.raises(ValueError, match="occurs 0 times in the reference"):
        Misconception("gone", "", (("no such text", ""),)).apply(REFERENCE)
    assert all(entry.apply(REFERENCE) != REFERENCE for entry in BANK)


def test_a_variant_that_switches_gradients_off_for_good_does_not_reach_the_next_test() -> None:
    suite = Suite(NAME, hidden_tests=FOLDER / "hidden_tests", references=FOLDER / "references")
    module = ModuleType("scaling_without_gradients")
    exec(REFERENCE.replace("    return x / 2", "    torch.set_grad_enabled(False)\n    return x / 2"), module.__dict__)
    try:
        assert suite.run_one("test_halves", LocalSubmission(module), 1).raised is None
        assert torch.is_grad_enabled()
        for _ in suite.run(LocalSubmission(module), lambda _: 1):
            assert torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(True)
        suite.close()
