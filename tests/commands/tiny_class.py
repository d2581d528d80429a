"""A class of three in a temporary folder, the command line, and an executor that grades at once in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warm_grader import ROOT, sandbox_mode

from autograder.cli import main

ZEROS = (ROOT / "tests" / "red_team" / "submissions" / "_zeros_attention.py").read_text()
COURSE = """
[course]
id = "tiny"
title = "A tiny course"

[limits]
call_seconds = 10
submission_seconds = 60
cpu_seconds = 60
memory_bytes = 1_073_741_824
reply_bytes = 67_108_864
source_bytes = 100_000

[[assignments]]
name = "01_attention"
title = "Attention"
points = 20

[[assignments]]
name = "02_positional_encoding"
title = "Positions"
points = 20
"""


@dataclass
class TinyClass:
    folder: Path

    @classmethod
    def make(cls, folder: Path) -> TinyClass:
        tiny = cls(folder)
        (folder / "course.toml").write_text(COURSE)
        tiny.hand_in("ann", ZEROS)
        tiny.hand_in("bob", "def padding_mask(:\n")
        (tiny.submissions / "cem").mkdir()
        return tiny

    @property
    def submissions(self) -> Path:
        return self.folder / "submissions"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def hand_in(self, student: str, text: str, assignment: str = "01_attention") -> None:
        path = self.submissions / student / assignment / f"{assignment[3:]}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def arguments(self, *more: str, gradebook: str = "none", sandbox: str | None = None) -> list[str]:
        given = ["grade", str(self.submissions), "--course", str(self.folder / "course.toml"), "--results", str(self.results)]
        return [*given, "--gradebook", gradebook, "--sandbox", sandbox or sandbox_mode(), *more]

    def grade(self, *more: str, **options: str) -> int:
        """The exit code."""
        return main(self.arguments(*more, **options))

    def reports(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The reports that count, by student and assignment."""
        found = {}
        for marker in self.results.glob("*/*/current"):
            report = json.loads((marker.parent / f"{marker.read_text().strip()}.json").read_text())
            found[report["student"], report["assignment"]] = report
        return found

    def files(self) -> dict[str, bytes]:
        """Every report file, to see what was touched."""
        return {str(path.relative_to(self.results)): path.read_bytes() for path in self.results.glob("0*/*/*")}


@dataclass
class InlineExecutor(Executor):
    """Runs each task as it is submitted. `before` is called with the task first."""

    before: Callable[[Any], None] = lambda _task: None
    submitted: list[str] = field(default_factory=list)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.submitted.append(args[0].student)
        try:
            self.before(args[0])
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
