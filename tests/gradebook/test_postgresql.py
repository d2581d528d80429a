"""What only a gradebook on a PostgreSQL server can get wrong: reaching it, its passwords, its locks and its encodings."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from databases import PASSWORD, Database, Server

pytest.importorskip("nbgrader")

from tiny_class import InlineExecutor, TinyClass

from autograder.cli import main
from autograder.course.course import Assignment, Course, LatePolicy, Limits
from autograder.gradebook.address import read_address, without_password
from autograder.gradebook.database import GradebookError, open_gradebook
from autograder.gradebook.write import write_gradebook
from autograder.results.standings import standings

ATTENTION = Assignment("01_attention", "A", 20.0, 1.0, datetime(2026, 10, 5, 23, 59, tzinfo=UTC))
COURSE = Course("demo", "Demo", LatePolicy("percent", 10.0, 50.0), Limits(), (ATTENTION,))


@pytest.fixture
def database(server: Server) -> Any:
    with server.database("TEMPLATE empty") as made:
        yield made


def _refusal(url: str) -> str:
    with pytest.raises(GradebookError) as caught, open_gradebook(url, "demo"):
        pass
    return str(caught.value)


def test_a_server_that_cannot_be_used_is_named_with_what_to_do(server: Server) -> None:
    assert "createdb -E UTF8" in _refusal(server.url("nowhere"))
    assert "check the URL and that the database is up" in _refusal("postgresql://course@/grades?host=/tmp/no-server-here")
    server.administer("CREATE ROLE guest LOGIN")
    with server.database() as empty:
        engine = sqlalchemy.create_engine(empty.url)
        with engine.begin() as connection:
            connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        engine.dispose()
        assert "give the user the right to make and write tables" in _refusal(empty.url.replace("course@", "guest@"))
        assert empty.dump() == {}


@pytest.mark.parametrize("options", ["ENCODING 'SQL_ASCII' TEMPLATE template0", "ENCODING 'LATIN1' TEMPLATE template0"])
def test_a_database_that_cannot_hold_every_name_is_refused(server: Server, options: str) -> None:
    with server.database(options) as made:
        assert "cannot hold every student's name; make another: createdb -E UTF8" in _refusal(made.url)
        assert Database(f"{made.url}&client_encoding=utf8").dump() == {}


def test_a_database_of_something_else_is_left_as_it_was(server: Server) -> None:
    with server.database() as music:
        music.execute("CREATE TABLE tracks (id INTEGER)")
        assert "is not a gradebook of nbgrader (it holds tracks)" in _refusal(music.url)
        assert music.dump() == {"tracks": []}


def test_the_password_is_shown_nowhere(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    wrong = PASSWORD + "x"
    place = f"empty?host={server.folder}"
    urls = [
        f"postgresql://guarded:{wrong}@/{place}",
        f"postgresql://guarded@/{place}&password={wrong}",
        f"postgresql://guarded:{wrong}@/{place}&nonsense=1",
        f"postgresql://guarded:{wrong}@localhost:1/grades",
        f"postgresql://guarded:{wrong}@localhost:port/grades",
        f"postgresql://guarded:a@{wrong}@localhost/grades",
        f"oracel://guarded:{wrong}@localhost/grades",
        f"guarded:{wrong}@localhost/grades",
    ]
    said = "\n".join(map(_refusal, urls))
    assert said.count("check the user and the password") == 2
    assert "write it as %40" in said
    assert wrong not in said + caplog.text
    assert wrong not in repr(read_address(urls[0])) + without_password(urls[1])
    with open_gradebook(f"postgresql://guarded:{PASSWORD}@/{place}", "demo") as gradebook:
        assert gradebook.students == []


def test_a_lock_that_another_program_holds_is_not_waited_for_forever(database: Database, make_report: Any) -> None:
    before = database.dump()
    engine = sqlalchemy.create_engine(database.url)
    with engine.connect() as other:
        other.exec_driver_sql("LOCK TABLE grade")
        with pytest.raises(GradebookError, match=r"lock timeout.*another program holds it"):
            write_gradebook(f"{database.url}&options=-clock_timeout%3D50ms", COURSE, standings([make_report()], COURSE))
    engine.dispose()
    assert database.dump() == before


def test_a_driver_that_is_not_installed_is_named(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "needs a driver that is not installed" in _refusal(database.url)
    assert "pip install -e '.[gradebook]'" in _refusal(database.url)
    assert "postgresql+psycopg://" in _refusal(database.url.replace("postgresql:", "postgresql+psycopg2:"))


def test_a_class_is_graded_into_it_and_shown_to_formgrader(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    from nbgrader.apps.api import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory

    tiny = TinyClass.make(tmp_path)
    shutil.rmtree(tiny.submissions / "ann")  # Bob's file does not parse, Cem handed in nothing: what needs no worker
    monkeypatch.setattr("autograder.commands.grade.local_executor", lambda _jobs: InlineExecutor())
    monkeypatch.setattr("autograder.commands.publish.write_class_report", lambda folder, *_rest: folder / "class_report.html")
    monkeypatch.setenv("AUTOGRADER_SECRET", "a secret of the tests")
    monkeypatch.setenv("COLUMNS", "200")
    with server.database("OWNER guarded") as made:
        url = made.url.replace("course@", f"guarded:{PASSWORD}@")
        arguments = ["--course", str(tiny.folder / "course.toml"), "--results", str(tiny.results), "--gradebook", url]
        assert tiny.grade("--assignment", "attention", gradebook=url) == 0
        assert main(["formgrader", str(tiny.submissions), *arguments, "--prepare-only"]) == 0
        said = "".join(capfd.readouterr())
        assert "gradebook:    postgresql://guarded:***@/" in said
        assert PASSWORD not in said
        # What formgrader's pages ask.
        api = NbGraderAPI(CourseDirectory(root=str(tmp_path / "nbgrader_course"), db_url=url, course_id="tiny"))
        assert {row["student"]: (row["autograded"], row["score"]) for row in api.get_submissions("01_attention")} == {"bob": (True, 0.0)}
        [notebook] = api.get_notebook_submissions("01_attention", "attention")
        assert (notebook["student"], notebook["needs_manual_grade"]) == ("bob", False)
        assert {row["id"] for row in api.get_students()} == {"bob", "cem"}
