"""Files beside a submission: none of them is ever imported, collected or read as settings."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from warm_grader import LIMITS, grade, warm_grader

from autograder.grading.suite import Suite
from autograder.submissions.read import read_submission

ZEROS = (Path(__file__).parent / "submissions" / "_zeros_attention.py").read_text()
NAMES = (
    "conftest.py sitecustomize.py usercustomize.py math.py torch/__init__.py pytest.py autograder/__init__.py helper.py _pytest/__init__.py "
    "test_attention.py __init__.py numpy.py json.py evil.pth"
).split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A submission of zeros among files that leave a mark when they run, and settings that would let every test pass."""
    folder = tmp_path / "eve" / "01_attention"
    for name in NAMES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'mark')!r}).touch()\n")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --collect-only -k nothing\n")
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "-k nothing"\n')
    (folder / "tox.ini").write_text("[pytest]\naddopts = -k nothing\n")
    (folder / "attention.py").write_text(ZEROS)
    return folder


def test_files_beside_a_submission_change_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    reading = read_submission(folder, "attention", LIMITS.source_bytes)
    report, alone = grade(reading), grade(ZEROS)
    assert replace(report, graded_at="", wall_seconds=0, cpu_seconds=0, peak_memory_bytes=0) == replace(
        alone, graded_at="", wall_seconds=0, cpu_seconds=0, peak_memory_bytes=0
    )
    assert not (tmp_path / "mark").exists()


def test_settings_in_the_current_folder_are_not_read_when_a_suite_is_collected(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [test.id for test in warm_grader().suite("attention").manifest]
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing -p evil")
    monkeypatch.setenv("PYTEST_PLUGINS", "evil")
    suite = Suite("attention")
    assert [test.id for test in suite.manifest] == expected
    suite.close()
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", ["helper", "conftest", "autograder.hidden_tests", "nbgrader"])
def test_a_submission_cannot_import_what_lies_beside_it_or_belongs_to_the_grader(folder: Path, name: str) -> None:
    (folder / "attention.py").write_text(f"import {name}\n{ZEROS}")
    report = grade(read_submission(folder, "attention", LIMITS.source_bytes))
    assert report.status.value == "broken"
    assert re.search("raised (ModuleNotFound|Permission)Error on line 1", report.message)  # as the layer has it
