"""The whole cycle on a shared machine by nbgrader's own commands: two students, as two users of the system where the tests run as root."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from nbgrader_app import gradebook, nbgrader
from tiny_class import COURSE, InlineExecutor
from warm_grader import ROOT, sandbox_mode, warm_grader

from autograder.cli import main
from autograder.grading import jobs
from autograder.nbgrader_course import autograde

EXAMPLES = ROOT / "examples" / "jupyterhub"
WRONG = (ROOT / "examples" / "submissions" / "dmitri.volkov" / "01_attention" / "attention.py").read_text()
NAME = "01_attention"
SEPARATE = os.name == "posix" and os.getuid() == 0


@dataclass
class Hub:
    base: Path

    @property
    def course(self) -> Path:
        return self.base / "instructor" / "nbgrader_course"

    @property
    def exchange(self) -> Path:
        return self.base / "exchange"

    def home(self, student: str) -> Path:
        return self.base / student

    def instructor(self, *arguments: str) -> None:
        assert nbgrader(self.course, *arguments) == 0

    def student(self, student: str, *arguments: str) -> None:
        """A command of nbgrader as the student's."""
        named = () if SEPARATE or arguments[0] == "fetch_assignment" else (f"--student={student}",)
        self.act_as(student, lambda: nbgrader(self.home(student), *arguments, *named))

    def act_as(self, student: str, act: Callable[[], int | None]) -> None:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if SEPARATE:
                    user = pwd.getpwnam(student)
                    os.setgroups([])
                    os.setgid(user.pw_gid)
                    os.setuid(user.pw_uid)
                places = {"HOME": "", "JUPYTER_CONFIG_DIR": ".jupyter", "JUPYTER_DATA_DIR": ".data", "IPYTHONDIR": ".ipython"}
                os.environ.update({name: str(self.home(student) / place) for name, place in places.items()})
                code = act() or 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0

    def settings(self, example: str, folder: Path) -> None:
        text = (EXAMPLES / example).read_text().replace("/srv/nbgrader/exchange", str(self.exchange))
        text = text.replace("/srv/transformers", str(self.base / "instructor")).replace('"require"', repr(sandbox_mode()))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nbgrader_config.py").write_text(text)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Students "daemon" and "bin", whom every system knows, with a home each that is theirs alone."""
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        made = Hub(Path(base).resolve())
        made.exchange.mkdir()
        made.exchange.chmod(0o777)
        (made.base / "instructor").mkdir(mode=0o700)
        dated = COURSE.replace('"tiny"', '"transformers"').replace("points = 20\n", "points = 20\ndue = 2999-10-05T23:59:00Z\n", 1)
        (made.base / "instructor" / "course.toml").write_text(dated)
        for student in ("daemon", "bin"):
            made.settings("student_nbgrader_config.py", made.home(student) / ".jupyter")
            made.home(student).chmod(0o700)
            if SEPARATE:
                user = pwd.getpwnam(student)
                for path in (made.home(student), *made.home(student).rglob("*")):
                    os.chown(path, user.pw_uid, user.pw_gid)
        monkeypatch.setattr(autograde, "local_executor", lambda _jobs: InlineExecutor())
        monkeypatch.setattr(jobs, "_grader", warm_grader())
        monkeypatch.setenv("AUTOGRADER_SECRET", "a secret of the tests")
        monkeypatch.setenv("TZ", "America/New_York")
        for variable in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "HOME"):
            monkeypatch.setenv(variable, str(made.base / "instructor"))
        yield made


def test_two_students_hand_in_and_get_back_what_is_theirs(hub: Hub) -> None:
    place = hub.base / "instructor"
    assert main(["formgrader", str(place / "submissions"), "--course", str(place / "course.toml"), "--prepare-only"]) == 0
    hub.settings("nbgrader_config.py", hub.course)
    hub.instructor("generate_assignment", NAME)
    hub.instructor("release_assignment", NAME)
    released = (hub.exchange / "transformers" / "outbound" / NAME / "attention.ipynb").read_text()
    assert "### BEGIN SOLUTION" not in released

    solved = (hub.course / "source" / NAME / "attention.ipynb").read_text()
    for student, right in (("daemon", True), ("bin", False)):
        hub.student(student, "fetch_assignment", NAME)
        folder = hub.home(student) / NAME
        assert (folder / "attention.ipynb").read_text() == released
        hub.act_as(student, lambda: _hand_in(folder, solved if right else None))  # noqa: B023
        hub.student(student, "submit", NAME)
    inbound = hub.exchange / "transformers" / "inbound"
    [own] = inbound.glob("bin+*")
    hub.act_as("bin", lambda: _attack(own))

    hub.instructor("collect", NAME)
    assert sorted(path.name for path in (hub.course / "submitted" / "bin" / NAME).iterdir()) == [
        "attention.ipynb",
        "attention.py",
        "submission_secret.txt",
        "timestamp.txt",
    ]
    hub.instructor("autograde", NAME)
    found = gradebook(place / "gradebook.db")
    scores = {student: sum(row[2] or 0 for row in found["grades"] if row[0] == student) for student in ("daemon", "bin")}
    assert scores == {"daemon": 20.0, "bin": 16.5}
    assert all(row[3] in (None, 0) for row in found["submissions"])  # in time

    hub.instructor("generate_feedback", NAME)
    hub.instructor("release_feedback", NAME)
    given_back = list((hub.exchange / "transformers" / "feedback").iterdir())
    assert len(given_back) == 2
    assert (hub.exchange / "transformers" / "feedback").stat().st_mode & 0o777 == 0o711
    [report] = (place / "results" / NAME / "bin").glob("*.json")
    said = next(test["misconception"]["says"] for test in json.loads(report.read_text())["tests"] if test["misconception"])
    hidden = (ROOT / "autograder" / "hidden_tests" / "test_attention.py").read_text().splitlines()
    lines = {line.strip() for line in hidden if len(line.strip()) > 30 and not line.strip().startswith(('"""', "@pytest"))}
    for student, others in (("daemon", "bin"), ("bin", "daemon")):
        hub.student(student, "fetch_feedback", NAME)
        [page] = (hub.home(student) / NAME / "feedback").rglob("*.html")
        html = page.read_text()
        assert f"(Score: {scores[student]} /" in html
        assert (said[:40].replace("'", "&#39;") in html) is (student == "bin")  # the known mistake
        assert [line for line in lines if line in html] == []
        if SEPARATE:
            hub.act_as(student, lambda: _cannot_read([hub.home(others), hub.exchange / "transformers" / "feedback", hub.course]))  # noqa: B023


def _hand_in(folder: Path, solved: str | None) -> None:
    if solved is None:
        (folder / "attention.py").write_text(WRONG)
    else:
        path = folder / "attention.ipynb"
        path.chmod(0o644)
        path.write_text(solved)


def _attack(own: Path) -> None:
    """What a student may do in the exchange: links to the instructor's files, another time, no key, work under another's name."""
    (own / "steal.html").symlink_to(ROOT / "autograder" / "hidden_tests" / "test_attention.py")
    (own / "figure.ipynb").symlink_to(ROOT / "autograder" / "hidden_tests" / "test_attention.py")
    (own / "timestamp.txt").write_text("yesterday")
    (own.parent / f"bin+{NAME}+sometime+x").mkdir()
    if SEPARATE:
        forged = own.parent / f"daemon+{NAME}+2998-01-01 00:00:00.0 UTC+x"
        shutil.copytree(own, forged, symlinks=True)
        (forged / "attention.ipynb").write_text(json.dumps({"cells": []}))


def _cannot_read(folders: list[Path]) -> None:
    for folder in folders:
        with pytest.raises(PermissionError):
            os.listdir(folder)
