"""Where the course's own files lie."""

from __future__ import annotations

from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HIDDEN_TESTS = REPOSITORY / "autograder" / "hidden_tests"
REFERENCES = REPOSITORY / "reference_solutions"
ASSIGNMENTS = REPOSITORY / "assignments"


@cache
def given_stub(folder: str) -> str:
    """Text of the stub that students of an assignment ("01_attention") were given; "" when there is none."""
    path = ASSIGNMENTS / folder / f"{folder.split('_', 1)[-1]}.py"
    return path.read_text(encoding="utf-8") if path.is_file() else ""
