"""Answers of any size cost the grader no more than it is ready to give."""

from __future__ import annotations

import resource
import sys

import pytest
import torch
from trial import SUBMISSIONS, grade_with
from warm_grader import LIMITS, sandbox_mode, warm_grader

from autograder.grading import worker_link
from autograder.grading.memory import memory_for_answers
from autograder.grading.messages import verdict_on

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited and measured on Linux")


def test_an_allocation_beyond_the_limit_is_an_error_of_its_test_and_told_in_words() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with memory_for_answers(2**24), pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.zeros(2**12, 1) - torch.zeros(1, 2**12)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    verdict = verdict_on(caught.value, "", "attention.py")
    assert verdict.message == "What came back is too large to be looked at: check its shape."
    assert not verdict.suite_fault
    assert (torch.zeros(2**12, 1) - torch.zeros(1, 2**12)).shape == (2**12, 2**12)  # the limit is gone


def test_large_answers_are_let_go_of_before_they_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[int] = []
    monkeypatch.setattr(worker_link.gc, "collect", lambda: collected.append(1))
    base = (SUBMISSIONS / "_zeros_attention.py").read_text()
    grade_with(warm_grader(), sandbox_mode(), base, "01_attention", "eve", LIMITS)
    assert not collected
    grade_with(warm_grader(), sandbox_mode(), base + (SUBMISSIONS / "forge_large_shapes.py").read_text(), "01_attention", "eve", LIMITS)
    assert collected
