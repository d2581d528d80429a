"""A course of one small assignment, and the real one as it is now, with the assignments that are complete."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from autograder.authoring.notebooks import notebook_source
from autograder.authoring.stubs import stub_source
from autograder.course.course import Assignment, load_course
from autograder.release.contents import release_files
from autograder.release.errors import ReleaseError
from autograder.release.folder import Folder
from autograder.release.guard import Guard
from autograder.release.manifest import Manifest
from autograder.release.release import release
from autograder.release.secrets import Secrets, read_secrets
from autograder.release.untouched import check_untouched
from autograder.release.update import plan_update

REPOSITORY = Path(__file__).resolve().parents[2]

REFERENCE = '''"""Masks."""

import torch
from torch import Tensor


def causal_mask(query_length: int, key_length: int | None = None) -> Tensor:
    """Hide the future."""
    ### BEGIN SOLUTION
    if key_length is None:
        key_length = query_length
    if query_length < 1 or key_length < 1:
        raise ValueError(f"lengths must be >= 1, got query_length={query_length}, key_length={key_length}")
    query_position = torch.arange(query_length).unsqueeze(1) + key_length - query_length
    return torch.arange(key_length) > query_position
    ### END SOLUTION
'''
PUBLIC_TESTS = '''
import torch

from autograder.checking.assertions import assert_matches


def test_three(submission):
    """Three queries see what came before them"""
    assert_matches(submission.causal_mask(3), torch.ones(3, 3, dtype=torch.bool).triu(1), what="the mask")
'''
HIDDEN_TESTS = '''
import pytest
from autograder.checking.assertions import assert_raises_value_error, assert_tensor


@pytest.mark.points(1)
def test_first_query_of_a_long_text(submission):
    """The first of many queries sees itself alone"""
    mask = assert_tensor(submission.causal_mask(31, 31), (31, 31), what="the causal mask of thirty-one")
    for hidden_from_the_first in range(1, 31):
        assert mask[0, hidden_from_the_first], "the first query looks ahead by some positions"
    assert_raises_value_error(lambda: submission.causal_mask(-5), when="there are fewer queries than none at all")
'''
MISCONCEPTIONS = """
from autograder.misconceptions.bank import Misconception

MISCONCEPTIONS = (
    Misconception(
        "inverted",
        "You mark what has been read already; a mask that is True hides, so the unread part is the one to mark.",
        (("> query_position", "<= query_position"),),
    ),
)
"""
HANDOUT = "# 01 · Masks\n\nHide the future.\n\n## How to check your work\n\n    make check A=masks\n"
COURSE = """
[course]
id = "toy"
title = "A toy"

[[assignments]]
name = "01_masks"
title = "Masks"
points = 1
"""
INDEX = "# Assignments\n\n| assignment | you write | check it |\n|---|---|---|\n| old | old | old |\n\nPoints: [course.toml](../course.toml).\n"


class Toy:
    """A course whose release takes milliseconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.course = folder / "course.toml"
        self.write("course.toml", COURSE)
        self.write("reference_solutions/masks.py", REFERENCE)
        self.write("autograder/hidden_tests/test_masks.py", HIDDEN_TESTS)
        self.write("autograder/misconceptions/masks.py", MISCONCEPTIONS)
        self.write("assignments/README.md", INDEX)
        self.write("assignments/01_masks/README.md", HANDOUT)
        self.write("assignments/01_masks/masks.py", stub_source(REFERENCE))
        self.write("assignments/01_masks/masks.ipynb", notebook_source("masks", REFERENCE, HANDOUT))
        self.write("assignments/01_masks/test_public.py", PUBLIC_TESTS)
        for path in ("LICENSE", "pyproject.toml", "assignments/conftest.py", "autograder/bootstrap.py", "docs/student.md"):
            self.write(path, (REPOSITORY / path).read_text(encoding="utf-8"))
        shutil.copytree(REPOSITORY / "autograder" / "checking", folder / "autograder" / "checking", ignore=shutil.ignore_patterns("__pycache__"))

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text, encoding="utf-8")

    def release(self, out: Path) -> list[str]:
        said: list[str] = []
        assert release(self.course, out, tell=said.append) == 0
        return said


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path / "course")


@pytest.fixture(scope="session")
def secrets() -> Secrets:
    return read_secrets(REPOSITORY)


@pytest.fixture(scope="session")
def guard(secrets: Secrets) -> Guard:
    return Guard(secrets)


@pytest.fixture(scope="session")
def real_course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """course.toml of a copy of the repository; an assignment that somebody is writing just now is left out."""
    copy = tmp_path_factory.mktemp("real")
    for folder in ("assignments", "reference_solutions", "autograder", "tests/alternative_solutions", "examples/submissions", "docs"):
        shutil.copytree(REPOSITORY / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.tmp"))
    for name in ("LICENSE", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, copy / name)
    head, *entries = re.split(r"(?m)^(?=\[\[assignments\]\])", (REPOSITORY / "course.toml").read_text(encoding="utf-8"))
    whole = [_is_whole(copy, assignment) for assignment in load_course(REPOSITORY / "course.toml").assignments]
    (copy / "course.toml").write_text(head + "".join(entry for entry, ok in zip(entries, whole, strict=True) if ok), encoding="utf-8")
    return copy / "course.toml"


def _is_whole(repository: Path, assignment: Assignment) -> bool:
    folder = repository / "assignments" / assignment.folder
    names = ("README.md", f"{assignment.name}.py", f"{assignment.name}.ipynb", "test_public.py")
    if not all((folder / name).is_file() for name in names):
        return False
    try:
        check_untouched(repository, assignment, {f"assignments/{assignment.folder}/{name}": (folder / name).read_bytes() for name in names})
    except (ReleaseError, json.JSONDecodeError):
        return False
    return True


@pytest.fixture(scope="session")
def released(real_course: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of the real course; that the guard has nothing against it is a test of its own."""
    course, folder = load_course(real_course), Folder(tmp_path_factory.mktemp("released") / "students")
    before = folder.manifest(course.id)
    plan = plan_update(release_files(real_course.parent, course, course.assignments), before, folder.look)
    folder.apply(plan, before, Manifest(course.id, tuple(assignment.folder for assignment in course.assignments), plan.files))
    return folder.path
