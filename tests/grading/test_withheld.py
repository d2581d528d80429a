"""Points that are not given although a test passes: what the source holds makes the process that ran it unable to vouch for them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from warm_grader import ROOT, grade

from autograder.checking import given
from autograder.reports.model import Outcome, Status

ATTENTION = (ROOT / "reference_solutions" / "attention.py").read_text(encoding="utf-8")
KV_CACHE = (ROOT / "reference_solutions" / "kv_cache.py").read_text(encoding="utf-8")
COUNTED = {"test_cost_of_a_step", "test_cost_of_generation", "test_generation_leaves_the_model_alone"}


def test_native_code_forfeits_every_test_and_says_where() -> None:
    report = grade(f"{ATTENTION}\n\nimport ctypes\n")
    line = report_line(ATTENTION, 3)
    assert report.status is Status.GRADED
    assert report.score == 0
    for test in report.tests:
        assert test.outcome is not Outcome.PASSED
        assert "it imports ctypes" in test.message or test.outcome is Outcome.NOT_RUN
        assert f"line {line} of attention.py: write it without" in test.message or test.outcome is Outcome.NOT_RUN
        assert test.misconception is None
    assert any("imports ctypes" in flag for flag in report.flags)


def report_line(text: str, after: int) -> int:
    return len(text.splitlines()) + after


@pytest.mark.parametrize("harmless", ["if __name__ == '__main__':\n    import ctypes\n", "import os\nimport gc\n"])
def test_what_cannot_matter_forfeits_nothing(harmless: str) -> None:
    report = grade(f"{ATTENTION}\n\n{harmless}")
    assert report.score == report.max_score


def test_costs_are_not_believed_after_what_can_change_their_count() -> None:
    report = grade(f"{KV_CACHE}\n\nfrom torch.utils import data\n\ndata._utils\n", "07_kv_cache")
    assert {test.id for test in report.tests if test.outcome is not Outcome.PASSED} == COUNTED
    line = report_line(KV_CACHE, 5)
    for test in report.tests:
        if test.id in COUNTED:
            words = f"it uses torch.utils.data._utils, which can change or escape the count. It is on line {line} of kv_cache.py: write it without"
            assert words in test.message


def test_numpy_for_numbers_costs_nothing_and_for_tensors_the_counted_points() -> None:
    plain = f"{KV_CACHE}\n\nimport numpy as np\n\nHALF = np.sqrt(0.25), -np.inf\n"
    assert grade(plain, "07_kv_cache").score == 20
    report = grade(f"{plain}\n\ndef unused(x):\n    return np.asarray(x)\n", "07_kv_cache")
    assert {test.id for test in report.tests if test.outcome is not Outcome.PASSED} == COUNTED


TRANSFORMER = (ROOT / "reference_solutions" / "transformer.py").read_text(encoding="utf-8")
WATCHED = {
    "test_greedy_decode_each_row_to_its_eos",
    "test_greedy_decode_does_no_more_than_needed",
    "test_greedy_decode_mode",
    "test_greedy_decode_max_len",
}
HIDES_CHANGES = """

_attend = scaled_dot_product_attention


def scaled_dot_product_attention(query, key, value, mask=None):
    result = _attend(query, key, value, mask)
    query.zero_()
    return result

"""
HIDDEN_WAY = """
import sys

service = getattr(sys, "_get" + "frame")(1)
while "self" not in getattr(service, "f_lo" + "cals"):
    service = getattr(service, "f_" + "back")
type(getattr(service, "f_lo" + "cals")["self"])._note_changes = lambda *_: None
"""


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("", "the caller's tensor was changed in place"),
        ("from autograder.worker.service import Service\nService._note_changes = lambda *_: None\n", "it imports autograder, which reaches"),
        (
            "import gc\nfor x in gc.get_objects():\n    if type(x).__name__ == 'Service': type(x)._note_changes = lambda *_: None\n",
            "uses get_objects",
        ),
    ],
)
def test_a_change_of_the_callers_tensors_cannot_be_hidden(way: str, words: str) -> None:
    report = grade(f"{ATTENTION}{HIDES_CHANGES}{way}")
    unchanged = next(test for test in report.tests if test.id == "test_inputs_are_not_changed")
    assert unchanged.outcome is not Outcome.PASSED
    assert words in unchanged.message.replace("The caller", "the caller")


def test_names_that_are_made_at_run_time_lead_nowhere() -> None:
    report = grade(f"{ATTENTION}{HIDES_CHANGES}{HIDDEN_WAY}")
    assert report.status is Status.BROKEN
    assert "raised RuntimeError" in report.message


def test_what_the_courses_own_code_sees_is_not_believed_from_whoever_reaches_it() -> None:
    forged = "from autograder.checking import given\n\ngiven.decode_script = lambda *_: {}\n"
    report = grade(f"{TRANSFORMER}\n\n{forged}", "06_transformer")
    for test in report.tests:
        if test.id in WATCHED:
            assert "it imports autograder, which reaches the grader's own objects" in test.message


def test_a_scripted_model_holds_no_answers() -> None:
    texts = torch.tensor([[4, 1, 2, 9, 9], [4, 2, 9, 9, 9]])
    model, seen = given._scripted_model(texts, 4, 3)
    held = [*vars(model).values(), *vars(type(model)).values(), *model.parameters(), *model.buffers()]
    assert not any(thing is seen or (isinstance(thing, torch.Tensor) and thing.numel() > 1) for thing in held)


def test_parameters_are_counted_whatever_the_model_says() -> None:
    class Liar(torch.nn.Linear):
        def parameters(self, recurse: bool = True) -> Any:
            return iter([torch.nn.Parameter(torch.zeros(1000, device="meta"))])

    shared = torch.nn.Linear(3, 3, bias=False)
    module = SimpleNamespace(Liar=Liar, Twice=lambda: torch.nn.Sequential(shared, shared, torch.nn.Linear(2, 2)))
    assert given.parameter_count(module, "Liar", 3, 4) == 16
    assert given.parameter_count(module, "Twice") == 9 + 6
