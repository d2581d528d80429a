"""A course of one tiny assignment, graded by a warm grader of its own suite."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from warm_grader import LIMITS, reading_of, sandbox_mode, warm_grader

from autograder.course.course import Limits
from autograder.grading.grade import Grader
from autograder.grading.task import Task
from autograder.reports.model import Report
from autograder.submissions.read import Reading

FOLDER = Path(__file__).parent / "toy_course"
NAME, ASSIGNMENT = "scaling", "01_scaling"
REFERENCE = (FOLDER / "references" / "scaling.py").read_text()
SEED = "5eed" * 8


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_bank = _module(FOLDER / "misconceptions.py")
sys.modules[f"autograder.misconceptions.{NAME}"] = _bank
BANK = _bank.MISCONCEPTIONS


@cache
def toy_grader() -> Grader:
    """Shares the forking process of the warm grader."""
    sandbox_mode()
    grader = Grader(FOLDER / "hidden_tests", FOLDER / "references")
    grader._zygotes = warm_grader()._zygotes
    return grader


def grade_toy(reading: Reading | str, limits: Limits = LIMITS) -> Report:
    reading = reading_of(reading) if isinstance(reading, str) else reading
    return toy_grader().grade(Task("ann", ASSIGNMENT, reading, "fingerprint", SEED, 1, limits, sandbox_mode()))
