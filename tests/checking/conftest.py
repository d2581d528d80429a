"""A small assignment of its own, so that what the checking tool says does not depend on the course's tests."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

PUBLIC_TESTS = '''
import pytest
import torch
from autograder.checking.assertions import assert_matches, assert_raises_value_error


def test_padding(submission, tensors):
    """padding_mask marks the padding."""
    ids = tensors.integers((2, 3), high=3)
    assert_matches(submission.padding_mask(ids, 1), ids == 1, what="the padding mask", hint="True where the id is the padding's.")


def test_causal(submission):
    """causal_mask hides the future"""
    assert_matches(submission.causal_mask(3), torch.ones(3, 3, dtype=torch.bool).triu(1), what="the causal mask")


@pytest.mark.requires("test_causal")
def test_refuses(submission):
    """causal_mask refuses a length below 1"""
    assert_raises_value_error(lambda: submission.causal_mask(0), when="query_length is below 1")
'''

RIGHT = """
import torch


def padding_mask(token_ids, pad_id):
    return token_ids == pad_id


def causal_mask(query_length, key_length=None):
    if query_length < 1:
        raise ValueError("too short")
    return torch.ones(query_length, query_length, dtype=torch.bool).triu(1)
"""


class Desk:
    """A folder with one assignment, 01_masks, and a student's solution."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.assignment = folder / "assignments" / "01_masks"
        self.solution = self.assignment / "masks.py"
        self.assignment.mkdir(parents=True)
        (self.assignment / "test_public.py").write_text(PUBLIC_TESTS)
        self.write(RIGHT)

    def write(self, source: str) -> None:
        self.solution.write_text(textwrap.dedent(source).lstrip())

    def replace(self, old: str, new: str) -> None:
        source = self.solution.read_text()
        assert old in source
        self.solution.write_text(source.replace(old, new))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return Desk(tmp_path)
