"""Points that are not given although a test passes: what the source holds makes the process that ran it unable to vouch for them."""

from __future__ import annotations

import pytest
from warm_grader import ROOT, grade

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
    report = grade(f"{KV_CACHE}\n\nimport gc\n\ngc.get_objects()\n", "07_kv_cache")
    assert {test.id for test in report.tests if test.outcome is not Outcome.PASSED} == COUNTED
    line = report_line(KV_CACHE, 5)
    for test in report.tests:
        if test.id in COUNTED:
            words = f"it uses get_objects, which can change or escape the count. It is on line {line} of kv_cache.py: write it without"
            assert words in test.message


def test_numpy_for_numbers_costs_nothing_and_for_tensors_the_counted_points() -> None:
    plain = f"{KV_CACHE}\n\nimport numpy as np\n\nHALF = np.sqrt(0.25), -np.inf\n"
    assert grade(plain, "07_kv_cache").score == 20
    report = grade(f"{plain}\n\ndef unused(x):\n    return np.asarray(x)\n", "07_kv_cache")
    assert {test.id for test in report.tests if test.outcome is not Outcome.PASSED} == COUNTED
