"""A small class graded by the real command in a process of its own, to be killed; and what the class's grades are afterwards."""

from __future__ import annotations

import ctypes
import importlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.cli import main
from autograder.grading.jobs import _prepare

ROOT = Path(__file__).resolve().parents[2]
_EXAMPLES = ROOT / "examples" / "submissions"
_COURSE = """
[course]
id = "faults"
title = "A class whose grader dies"

[late]
policy = "percent"
percent_per_day = 10
cap_percent = 50

[[assignments]]
name = "01_attention"
title = "Attention"
points = 20
due = 2026-10-05T23:59:00Z
"""
# Two who differ in what they know, one whose file does not parse, one who handed in nothing, one who was late.
_CLASS = {
    "ann": (ROOT / "reference_solutions" / "attention.py").read_text(),
    "bob": "def padding_mask(:\n",
    "cem": None,
    "dmitri": (_EXAMPLES / "dmitri.volkov" / "01_attention" / "attention.py").read_text(),
    "eva": (ROOT / "reference_solutions" / "attention.py").read_text() + "\n# late\n",
}
_TIMES = ("graded_at", "wall_seconds", "cpu_seconds", "peak_memory_bytes")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d| UTC)?")
_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE = 600.0  # seconds for a run, on a machine however busy
_QUERIES = {
    "students": "SELECT id, first_name, last_name, email FROM student",
    "submissions": "SELECT a.name, s.student_id, s.timestamp, s.extension FROM submitted_assignment s JOIN assignment a ON a.id = s.assignment_id",
    "penalties": "SELECT s.student_id, n.late_submission_penalty FROM submitted_notebook n JOIN submitted_assignment s ON s.id = n.assignment_id",
    "grades": """SELECT s.student_id, c.name, g.auto_score, g.manual_score, g.needs_manual_grade FROM grade g JOIN base_cell c ON c.id = g.cell_id
                 JOIN submitted_notebook n ON n.id = g.notebook_id JOIN submitted_assignment s ON s.id = n.assignment_id""",
    "comments": """SELECT s.student_id, c.name, m.auto_comment FROM comment m JOIN base_cell c ON c.id = m.cell_id
                 JOIN submitted_notebook n ON n.id = m.notebook_id JOIN submitted_assignment s ON s.id = n.assignment_id""",
    "cells": "SELECT b.name, b.type, g.max_score FROM base_cell b LEFT JOIN grade_cells g ON g.id = b.id",
    "answers": "SELECT assignment, student, cell, sha256 FROM autograder_answer",
    "version": "SELECT version_num FROM alembic_version",
}


@dataclass
class GradedClass:
    folder: Path

    @classmethod
    def make(cls, folder: Path) -> GradedClass:
        made = cls(folder)
        (folder / "tmp").mkdir(parents=True)
        (folder / "course.toml").write_text(_COURSE)
        for student, text in _CLASS.items():
            home = folder / "submissions" / student
            home.mkdir(parents=True)
            if text is not None:
                made.hand_in(student, text)
        (folder / "submissions" / "eva" / "01_attention" / "timestamp.txt").write_text("2026-10-07 00:00:00 UTC\n")
        return made

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def gradebook(self) -> Path:
        return self.folder / "gradebook.db"

    def hand_in(self, student: str, text: str) -> None:
        path = self.folder / "submissions" / student / "01_attention" / "attention.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def forget(self) -> None:
        """As if nobody had graded the class yet."""
        shutil.rmtree(self.results, ignore_errors=True)
        for path in [*self.folder.glob("gradebook.db*"), *(self.folder / "tmp").iterdir()]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def start(self, *, warm: bool = False) -> Run:
        """Grade the class by the command. warm: in a fork of this process, which has imported everything, so that the moments of a run
        are spread over its work; its jobs are forked too."""
        arguments = ["grade", str(self.folder / "submissions"), "--course", str(self.folder / "course.toml"), "--results", str(self.results)]
        arguments += ["--gradebook", f"sqlite:///{self.gradebook}", "--jobs", "1", "--sandbox", "best"]
        environment = {"AUTOGRADER_SECRET": "a secret of the tests", "PYTHONPATH": str(ROOT), "TMPDIR": str(self.folder / "tmp")}
        before = below(os.getpid())
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            if warm:
                return Run(_fork(arguments, environment, self.folder, output), os.dup(output.fileno()), before)
            process = subprocess.Popen(
                [sys.executable, "-m", "autograder", *arguments],
                cwd=self.folder,
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            process.returncode = 0  # it is waited for by its number
            return Run(process.pid, os.dup(output.fileno()), before)

    def reports(self) -> dict[str, bytes]:
        """Every report that is there whole, by its path."""
        return {str(path.relative_to(self.results)): path.read_bytes() for path in self.results.glob("01_attention/*/[!.]*.json")}

    def phase(self) -> str:
        """How far a run has got, from what it left."""
        if (self.results / "class_report.html").exists():
            return "class report"
        if (self.results / "feedback").exists():
            return "feedback"
        if (self.results / "grades.csv").exists():
            return "scores"
        if self.gradebook.exists():
            return "gradebook"
        return f"{len(self.reports())} of {len(_CLASS)} graded"

    def grades(self) -> dict[str, Any]:
        """Everything that a finished run is for, but for times and random ids; whatever is torn or there twice fails here."""
        reports = {}
        for name, content in self.reports().items():
            student = name.split("/")[1]
            assert student not in reports, f"{student} was graded twice"
            report = json.loads(content)
            assert (self.results / "01_attention" / student / "current").read_text().strip() == Path(name).stem
            reports[student] = {key: value for key, value in report.items() if key not in _TIMES}
        feedback = {path.relative_to(self.results).as_posix(): _DATE.sub("TIME", path.read_text()) for path in self.results.glob("feedback/**/*.*")}
        assert (self.results / "class_report.html").read_text().rstrip().endswith("</html>")
        return {"reports": reports, "csv": (self.results / "grades.csv").read_text(), "feedback": feedback, **self.rows()}

    def gradebook_is_whole(self) -> bool:
        """Looked at in a copy: what a killed writer left to be undone is the next run's to undo."""
        with tempfile.TemporaryDirectory() as name:
            for path in self.folder.glob("gradebook.db*"):
                shutil.copy(path, name)
            with closing(sqlite3.connect(Path(name) / "gradebook.db")) as connection:
                return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    def rows(self) -> dict[str, Any]:
        """What the gradebook says, by names instead of its random keys."""
        with closing(sqlite3.connect(self.gradebook)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            return {name: sorted(map(repr, connection.execute(query))) for name, query in _QUERIES.items()}

    def leftovers(self) -> list[str]:
        """Temporary files of killed runs."""
        return [path.name for path in [*(self.folder / "tmp").iterdir(), *self.results.rglob(".*.tmp"), *self.folder.glob("gradebook.db-*")]]


@dataclass
class Run:
    pid: int
    _output: int
    _before: set[int]
    code: int | None = None  # as subprocess has it: negative for a signal

    def ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def helpers(self) -> set[int]:
        """Every process that this run brought forth and that still is there, whoever its parent is now."""
        _collect_orphans(self._before | {self.pid})
        return below(os.getpid()) - self._before - {self.pid}

    def kill(self, whole_group: bool) -> bool:
        """SIGKILL, to the run alone or to its process group; False when it had ended before."""
        if self.ended():
            return False
        with suppress(ProcessLookupError):  # it ended just now
            os.killpg(self.pid, signal.SIGKILL) if whole_group else os.kill(self.pid, signal.SIGKILL)
        self.finish()
        return self.code == -signal.SIGKILL

    def finish(self) -> tuple[int | None, str]:
        """Exit code and output."""
        ends_at = time.monotonic() + _PATIENCE
        while not self.ended():
            assert time.monotonic() < ends_at, "the run does not end"
            time.sleep(0.005)
        return self.code, os.pread(self._output, 1_000_000, 0).decode("utf-8", "replace")

    def all_ended(self) -> bool:
        """Whether nothing of the run is left, with some patience."""
        ends_at = time.monotonic() + 60
        while self.helpers():
            if time.monotonic() > ends_at:
                print("left:", *map(_described, sorted(self.helpers())), sep="\n", flush=True)
                return False
            time.sleep(0.02)
        return True


@contextmanager
def orphans_come_here() -> Iterator[None]:
    """Processes whose parent dies become this process's children, so that none escapes the count."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0)


def _described(pid: int) -> str:
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        return f"{stat[:60]} {command[:200]}"
    return f"{pid} (gone)"


def below(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while grown := {child for child, parent in parents.items() if parent in found} - found:
        found |= grown
    return found - {pid}


def _collect_orphans(kept: set[int]) -> None:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, rest = int(path.parent.name), path.read_text().rpartition(")")[2].split()
            if rest[0] == "Z" and int(rest[1]) == os.getpid() and pid not in kept:
                os.waitpid(pid, os.WNOHANG)


def _fork(arguments: list[str], environment: dict[str, str], folder: Path, output: Any) -> int:
    from autograder.commands import grade
    from autograder.gradebook.database import nbgrader_api
    from autograder.grading import grade as _torch  # noqa: F401

    nbgrader_api()
    importlib.import_module("matplotlib.pyplot")
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        os.chdir(folder)
        os.environ.update(environment)
        tempfile.tempdir = None
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        grade.local_executor = _forked_jobs  # type: ignore[assignment]
        code = main(arguments)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _forked_jobs(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork"), initializer=_prepare)
