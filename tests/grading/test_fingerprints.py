"""A report's fingerprint changes with everything that the verdict depends on, and with nothing else."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from autograder.course.course import Limits
from autograder.grading import fingerprint as module
from autograder.grading.fingerprint import fingerprint, grader_sha256, suite_sha256
from autograder.reports.model import Status
from autograder.submissions.read import Reading

READING = Reading(Status.GRADED, "ab" * 32, "x = 1")
PARTS = {"assignment": "01_attention", "reading": READING, "suite": "s", "seed": "5eed", "limits": Limits(), "sandbox_mode": "require"}


def of(**changes: object) -> str:
    return fingerprint(**{**PARTS, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"assignment": "02_attention"}, {"suite": "t"}, {"seed": "5eee"}, {"sandbox_mode": "off"},
        {"reading": replace(READING, sha256="cd" * 32)}, {"reading": replace(READING, status=Status.UNREADABLE)},
        {"reading": replace(READING, message="is empty")}, {"reading": replace(READING, submitted_at="2026-10-05T00:00:00+00:00")},
        {"reading": replace(READING, notes=("a note",))},
    ],
    ids=str,
)  # fmt: skip
def test_every_part_counts(changes: dict[str, object]) -> None:
    assert of(**changes) != of()


@pytest.mark.parametrize("limit", [field.name for field in fields(Limits)])
def test_every_limit_counts(limit: str) -> None:
    assert of(limits=replace(Limits(), **{limit: getattr(Limits(), limit) + 1})) != of()


def test_torch_and_the_grader_itself_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = of()
    with monkeypatch.context() as patch:
        patch.setattr(module, "torch_version", lambda: "0")
        assert of() != before
    with monkeypatch.context() as patch:
        patch.setattr(module, "grader_sha256", lambda: "0")
        assert of() != before
    assert of() == before


def test_the_same_parts_give_the_same_name_that_a_file_can_have() -> None:
    assert of() == of()
    assert len(of()) == 64
    assert of().isalnum()


@pytest.fixture
def course(tmp_path: Path) -> tuple[Path, Path]:
    tests, references = tmp_path / "hidden_tests", tmp_path / "references"
    for path in (tests, references):
        path.mkdir()
    imports = {"test_toy.py": "from autograder.hidden_tests.toy_checks import x", "toy_checks.py": "from autograder.hidden_tests import naive"}
    for name in ("test_toy.py", "toy_checks.py", "naive.py", "other_checks.py", "test_other.py", "rules.py"):
        (tests / name).write_text(imports.get(name, "x = 1"))
    for name in ("toy.py", "other.py"):
        (references / name).write_text("x = 1")
    return tests, references


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("hidden_tests/test_toy.py", True),
        ("hidden_tests/toy_checks.py", True),
        ("hidden_tests/naive.py", True),
        ("hidden_tests/rules.py", True),
        ("hidden_tests/other_checks.py", False),
        ("references/toy.py", True),
        ("hidden_tests/test_other.py", False),
        ("references/other.py", False),
    ],
)
def test_a_suite_is_its_tests_what_they_share_and_its_reference(course: tuple[Path, Path], tmp_path: Path, file: str, counts: bool) -> None:
    suite_sha256.cache_clear()
    before = suite_sha256("toy", *course)
    (tmp_path / file).write_text("x = 2")
    suite_sha256.cache_clear()
    assert (suite_sha256("toy", *course) != before) is counts


def test_every_module_that_decides_is_part_of_the_grader() -> None:
    """A verdict comes from these packages; one that is missing here would leave old reports in force."""
    assert len(grader_sha256()) == 64
    package = Path(module.__file__).parents[1]
    others = {"authoring", "bench", "collect", "commands", "exports", "github", "gradebook", "nbgrader_course", "posting", "release", "results"}
    decides = {path.parent.name for path in package.glob("*/*.py")} - others
    known = {*module._GRADER_FOLDERS, "course", "reports", "hidden_tests", "misconceptions"}
    assert decides <= known
