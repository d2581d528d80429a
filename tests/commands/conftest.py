"""A tiny class to be graded by the command line, mostly in this very process."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_class import InlineExecutor, TinyClass
from warm_grader import sandbox_mode, warm_grader

from autograder.commands import grade as grade_command
from autograder.commands import publish as publish_command
from autograder.grading import jobs


@pytest.fixture
def tiny(tmp_path: Path) -> TinyClass:
    """Ann hands in zeros, Bob a file that does not parse, Cem nothing."""
    return TinyClass.make(tmp_path)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> InlineExecutor:
    """Grade in this process with the warm grader, name no misconceptions and draw no plots: neither is what is tested here."""

    class NoDiagnosis:
        def diagnose(self, failures: object) -> dict[str, object]:
            return {}

    executor = InlineExecutor()
    monkeypatch.setattr(grade_command, "local_executor", lambda _jobs: executor)
    monkeypatch.setattr(jobs, "_grader", warm_grader())
    monkeypatch.setattr(warm_grader(), "_diagnostician", lambda _name: NoDiagnosis())
    monkeypatch.setattr(publish_command, "write_class_report", lambda folder, *_rest: folder / "class_report.html")
    monkeypatch.setenv("AUTOGRADER_SECRET", "a secret of the tests")
    monkeypatch.setenv("COLUMNS", "200")
    sandbox_mode()
    return executor
