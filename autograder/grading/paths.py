"""Where the course's own files lie."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HIDDEN_TESTS = REPOSITORY / "autograder" / "hidden_tests"
REFERENCES = REPOSITORY / "reference_solutions"
