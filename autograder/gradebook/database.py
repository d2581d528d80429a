"""Open nbgrader's database: SQLite by default, any SQLAlchemy URL; what cannot be opened is left as it was.

nbgrader is imported only here and only when asked for: grading does not need it.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from autograder.gradebook.address import Address, GradebookError, read_address

__all__ = ["GradebookError", "begin_writing", "nbgrader_api", "open_gradebook", "translated"]

_TABLES = {"assignment", "base_cell", "comment", "grade", "grade_cells", "notebook", "solution_cells", "student", "submitted_assignment"}
_WRITERS = 0x67726164  # the advisory lock of PostgreSQL that all who write a gradebook take

# What databases say, in part, and what to do about it.
_ADVICE = (
    (("locked", "lock timeout"), "another program holds it (formgrader, another grading run): close that and run again"),
    (("readonly", "read-only"), "make it writable: the file and its folder, or the server's database"),
    (("disk is full", "disk full", "no space left"), "make room on the disk and run again"),
    (("disk i/o error", "file too large"), "check the disk, its space and the limit on file sizes (ulimit -f), and run again"),
    (("permission denied for",), "give the user the right to make and write tables there, for example by making it the database's owner"),
    (("authentication failed", "no password supplied"), "check the user and the password; libpq's PGPASSWORD and ~/.pgpass are read too"),
    (("does not exist",), "make it first (for example: createdb -E UTF8 -T template0 NAME) and run again"),
)


def nbgrader_api() -> Any:
    """The module nbgrader.api. Raises GradebookError when it is not installed."""
    try:
        return importlib.import_module("nbgrader.api")
    except ImportError as error:
        raise GradebookError(f"nbgrader cannot be imported ({error}); a gradebook needs it: pip install -e '.[gradebook]'") from None


@contextlib.contextmanager
def open_gradebook(url: str, course_id: str) -> Iterator[Any]:
    """An open nbgrader.api.Gradebook, whose tables are made when the database is empty.

    What is not committed when the block ends is rolled back. Raises GradebookError, also for a database error in the block.
    """
    api = nbgrader_api()
    address = read_address(url)
    with translated(address.shown):
        _prepare(api, address, course_id)
        gradebook = api.Gradebook(address.url, course_id)
        try:
            yield gradebook
        finally:
            gradebook.db.rollback()
            gradebook.close()


def begin_writing(db: Any) -> None:
    """Begin a transaction of the session that no other writer shares: two runs wait for each other rather than collide."""
    db.rollback()
    _lock(db, db.get_bind().dialect.name)


def _lock(db: Any, backend: str) -> None:
    text = importlib.import_module("sqlalchemy").text
    if backend == "sqlite":
        db.execute(text("BEGIN IMMEDIATE"))
    elif backend == "postgresql":
        db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS})


@contextlib.contextmanager
def translated(shown: str) -> Iterator[None]:
    """Turn an error of the database into one that says what to do."""
    sqlalchemy_errors = importlib.import_module("sqlalchemy.exc")
    invalid_entry = nbgrader_api().InvalidEntry
    try:
        yield
    except (sqlalchemy_errors.SQLAlchemyError, invalid_entry) as error:
        reason = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
        raise GradebookError(f"the gradebook {shown} cannot be used: {reason}; {_advice(reason)}") from error


def _advice(reason: str) -> str:
    text = reason.lower()
    for signs, advice in _ADVICE:
        if any(sign in text for sign in signs):
            return advice
    return "check the URL and that the database is up and may be written; nothing of the failed step was kept"


def _prepare(api: Any, address: Address, course_id: str) -> None:
    """Give a new database its tables and version; refuse one that belongs to something else or to another version of nbgrader.

    nbgrader would do it too, but it asks a program for the version that it looks for on PATH, and leaves its tables
    without one when that is not found, as in an environment that is not activated. Such tables get their version here.
    """
    sqlalchemy = importlib.import_module("sqlalchemy")
    script = importlib.import_module("alembic.script")
    newest = script.ScriptDirectory(importlib.import_module("nbgrader.dbutil").ALEMBIC_DIR).get_current_head()
    engine = sqlalchemy.create_engine(address.url)
    try:
        with engine.begin() as connection:
            if address.backend == "postgresql":
                _check_encoding(connection, address.shown)
            if _is_ready(connection, api, address.shown, newest, course_id):
                return
        with engine.begin() as connection:
            _lock(connection, address.backend)
            if _is_ready(connection, api, address.shown, newest, course_id):  # by another run, meanwhile
                return
            api.Base.metadata.create_all(connection)
            course = api.Course.__table__
            if connection.execute(course.select().where(course.c.id == course_id)).first() is None:
                connection.execute(course.insert().values(id=course_id))
            version = sqlalchemy.table("alembic_version", sqlalchemy.column("version_num"))
            connection.execute(sqlalchemy.text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL)"))
            if connection.execute(version.select()).first() is None:
                connection.execute(version.insert().values(version_num=newest))
    finally:
        engine.dispose()


def _is_ready(connection: Any, api: Any, shown: str, newest: str, course_id: str) -> bool:
    """Whether nothing is to be made. Raises GradebookError for a database that is not ours to change."""
    sqlalchemy = importlib.import_module("sqlalchemy")
    inspector = sqlalchemy.inspect(connection)
    tables = set(inspector.get_table_names())
    own = api.Base.metadata.tables
    foreign = tables - set(own) - {"alembic_version"}
    if foreign and not tables >= _TABLES:
        some = ", ".join(sorted(foreign)[:3])
        raise GradebookError(f"{shown} is not a gradebook of nbgrader (it holds {some}) and is left as it is; name another database")
    version = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar() if "alembic_version" in tables else None
    columns = {name: {column["name"] for column in inspector.get_columns(name)} for name in tables & set(own)}
    if any(not set(own[name].columns.keys()) <= present for name, present in columns.items()):
        version = version or "none"
    if version not in (None, newest):
        raise GradebookError(f"{shown} was made by another version of nbgrader ({version}, this one has {newest}); run: nbgrader db upgrade")
    course = api.Course.__table__
    return version is not None and set(own) <= tables and connection.execute(course.select().where(course.c.id == course_id)).first() is not None


def _check_encoding(connection: Any, shown: str) -> None:
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise GradebookError(
            f"the gradebook {shown} was made for the encoding {encoding}, which cannot hold every student's name; "
            "make another: createdb -E UTF8 -T template0 NAME"
        )
