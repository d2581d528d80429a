"""Reports to keep, as a graded class leaves them, and an empty gradebook to write them into."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from databases import Database, Server, postgresql, postgresql_programs

from autograder.gradebook.database import open_gradebook
from autograder.reports.model import Isolation, Outcome, Report, Status, TestResult


def _report(**changes: Any) -> Report:
    base = Report(
        student="ann",
        assignment="01_attention",
        status=Status.GRADED,
        score=12.0,
        max_score=20.0,
        tests=(
            TestResult("test_masks", "Masks hide", Outcome.PASSED, 12.0, 12.0),
            TestResult("test_scale", "Scores are scaled", Outcome.FAILED, 0.0, 8.0, message="too large", line=7),
        ),
        fingerprint="f1",
        submission_sha256="aa",
        suite_sha256="bb",
        grader_sha256="cc",
        torch_version="2.13.0",
        seed="7",
        sandbox=Isolation("require", ("process", "landlock")),
        attempt=1,
        graded_at="2026-10-06T08:00:00+00:00",
        submitted_at="2026-10-05T20:00:00+00:00",
        wall_seconds=0.5,
        cpu_seconds=0.5,
        peak_memory_bytes=1000,
    )
    return replace(base, **changes)


@pytest.fixture
def make_report() -> Callable[..., Report]:
    return _report


@pytest.fixture(scope="session")
def empty_gradebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gradebook") / "empty.db"
    with open_gradebook(f"sqlite:///{path}", "demo"):
        pass
    return path


@pytest.fixture
def file(tmp_path: Path, empty_gradebook: Path) -> Path:
    """An empty gradebook of SQLite's."""
    return Path(shutil.copy(empty_gradebook, tmp_path / "gradebook.db"))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A real PostgreSQL server, in which the database `empty` is an empty gradebook."""
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL on this machine: apt-get install postgresql")
    with postgresql(programs) as server:
        server.administer("CREATE DATABASE empty")
        with open_gradebook(server.url("empty"), "demo"):
            pass
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty gradebook: every test that takes one runs on both."""
    if request.param == "sqlite":
        yield Database(f"sqlite:///{request.getfixturevalue('file')}")
        return
    with request.getfixturevalue("server").database("TEMPLATE empty") as made:
        yield made


@pytest.fixture
def gradebook(database: Database) -> Iterator[Any]:
    from nbgrader.api import Gradebook

    with Gradebook(database.url, "demo") as gradebook:
        yield gradebook
