"""Golden directories: a submission, and the exact report of it but for times, hashes and this machine's isolation.

    tests/golden/<case>/scaling.py …       what was handed in
    tests/golden/<case>/expected.json      the report

After a change that is meant, REWRITE_GOLDEN=1 pytest tests/golden writes all reports anew; read the difference before it is kept.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy import ASSIGNMENT, LIMITS, NAME, grade_toy

from autograder.reports.model import Report, to_json
from autograder.submissions.read import read_submission

HERE = Path(__file__).parent
REWRITE = os.environ.get("REWRITE_GOLDEN") == "1"
CASES = sorted(path.name for path in HERE.iterdir() if path.is_dir() and not path.name.startswith("_"))
# A loop is given up soon; all else gets the time that a busy machine needs.
HASTE = {"infinite_loop": replace(LIMITS, call_seconds=1.0, submission_seconds=2.0)}
CHANGING = (
    "fingerprint submission_sha256 suite_sha256 grader_sha256 torch_version sandbox graded_at wall_seconds cpu_seconds peak_memory_bytes".split()
)


def _huge(folder: Path) -> None:
    (folder / "scaling.py").write_bytes(b"#" * (LIMITS.source_bytes + 1))


def _link(folder: Path) -> None:
    (folder / "scaling.py").symlink_to("/etc/passwd")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "scaling.py")


# What a repository cannot hold well is made when it is needed.
MADE: dict[str, Callable[[Path], None]] = {
    "huge": _huge,
    "symbolic_link": _link,
    "folder_in_place_of_file": lambda folder: (folder / "scaling.py").mkdir(),
    "pipe": _pipe,
    "empty": lambda folder: (folder / "scaling.py").touch(),
    "nothing_handed_in": lambda folder: folder.rmdir(),
}


@pytest.fixture
def submission(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the case's files in a student's folder."""
    case: str = request.param
    folder = tmp_path / "ann" / ASSIGNMENT
    shutil.copytree(HERE / case, folder, ignore=shutil.ignore_patterns("expected.json"))
    if case in MADE:
        MADE[case](folder)
    return folder


@pytest.mark.parametrize(("case", "submission"), [(case, case) for case in CASES], indirect=["submission"])
def test_report_is_as_expected(case: str, submission: Path) -> None:
    reading = read_submission(submission, NAME, LIMITS.source_bytes)
    report = grade_toy(reading, HASTE.get(case, LIMITS))
    expected = HERE / case / "expected.json"
    if REWRITE:
        expected.write_text(json.dumps(_lasting(report), indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    assert _lasting(report) == json.loads(expected.read_text(encoding="utf-8"))


def test_every_made_case_has_its_folder() -> None:
    assert set(MADE) | set(HASTE) <= set(CASES)


def _lasting(report: Report) -> dict[str, Any]:
    fields = json.loads(to_json(report))
    return {name: value for name, value in fields.items() if name not in CHANGING}
