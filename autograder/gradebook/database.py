"""Open nbgrader's database: SQLite by default, any SQLAlchemy URL; what cannot be opened is left as it was.

nbgrader is imported only here and only when asked for: grading does not need it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TABLES = {"assignment", "base_cell", "comment", "grade", "grade_cells", "notebook", "solution_cells", "student", "submitted_assignment"}
_SQLITE_HEADER = b"SQLite format 3\0"


class GradebookError(Exception):
    """The gradebook cannot be read or written; the results folder still holds every grade."""


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
    shown = _check_url(url)
    with translated(shown):
        _prepare(api, url, shown)
        gradebook = api.Gradebook(url, course_id)
        try:
            yield gradebook
        finally:
            gradebook.db.rollback()
            gradebook.close()


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
    if "locked" in text:
        return "another program holds it (formgrader, another grading run): close that and run again"
    if "readonly" in text or "read-only" in text:
        return "make the file and its folder writable"
    if "disk is full" in text or "disk full" in text:
        return "make room on the disk and run again"
    return "check the URL and that the database is up and may be written; nothing of the failed step was kept"


def _check_url(url: str) -> str:
    """The URL without its password. Raises GradebookError when it names nothing that could be a gradebook."""
    engine = importlib.import_module("sqlalchemy.engine")
    errors = importlib.import_module("sqlalchemy.exc")
    try:
        parsed = engine.make_url(url)
        shown = str(parsed.render_as_string(hide_password=True))
        parsed.get_dialect().import_dbapi()
    except errors.NoSuchModuleError:
        raise GradebookError(f"the gradebook {shown}: unknown kind of database; expected sqlite:///FILE or postgresql://…") from None
    except ImportError as error:
        raise GradebookError(f"the gradebook {shown} needs a driver that is not installed: {error}") from None
    except (errors.ArgumentError, ValueError):
        raise GradebookError("the gradebook's address is not a database URL; expected one like sqlite:///gradebook.db") from None
    if parsed.get_backend_name() == "sqlite" and not parsed.query.get("uri"):
        if parsed.database in (None, "", ":memory:"):
            raise GradebookError(f"the gradebook {shown} would be lost at the end of the run; expected one like sqlite:///gradebook.db")
        _check_file(Path(parsed.database))
    return shown


def _check_file(path: Path) -> None:
    """SQLite tells little of what is wrong with a file, and makes a new one where a folder is mistyped."""
    if path.is_dir():
        raise GradebookError(f"the gradebook {path} is a folder; expected a file")
    if not path.exists():
        if not path.parent.is_dir():
            raise GradebookError(f"the gradebook {path} cannot be made: the folder {path.parent} does not exist")
        if not os.access(path.parent, os.W_OK):
            raise GradebookError(f"the gradebook {path} cannot be made: the folder {path.parent} is read-only")
        return
    try:
        with open(path, "rb") as file:
            start = file.read(len(_SQLITE_HEADER))
    except OSError as error:
        raise GradebookError(f"the gradebook {path} cannot be read: {error.strerror}") from None
    if start and start != _SQLITE_HEADER:
        raise GradebookError(f"{path} is not an SQLite database and is left as it is; name another file for the gradebook")
    if not os.access(path, os.W_OK):
        raise GradebookError(f"the gradebook {path} is read-only; make it writable, or name another")


def _prepare(api: Any, url: str, shown: str) -> None:
    """Give a new database its version; refuse one that belongs to something else or to another version of nbgrader.

    nbgrader would write the version too, but it asks a program for it that it looks for on PATH, and leaves its tables
    without one when that is not found, as in an environment that is not activated. Such tables get their version here.
    """
    sqlalchemy = importlib.import_module("sqlalchemy")
    script = importlib.import_module("alembic.script")
    newest = script.ScriptDirectory(importlib.import_module("nbgrader.dbutil").ALEMBIC_DIR).get_current_head()
    engine = sqlalchemy.create_engine(url)
    try:
        tables = set(sqlalchemy.inspect(engine).get_table_names())
        own = api.Base.metadata.tables
        foreign = tables - set(own) - {"alembic_version"}
        if foreign and not tables >= _TABLES:
            some = ", ".join(sorted(foreign)[:3])
            raise GradebookError(f"{shown} is not a gradebook of nbgrader (it holds {some}) and is left as it is; name another database")
        with engine.connect() as connection:
            version = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar() if "alembic_version" in tables else None
        columns = {name: {column["name"] for column in sqlalchemy.inspect(engine).get_columns(name)} for name in tables & set(own)}
        if any(not set(own[name].columns.keys()) <= present for name, present in columns.items()):
            version = version or "none"
        if version is not None and version != newest:
            raise GradebookError(f"{shown} was made by another version of nbgrader ({version}, this one has {newest}); run: nbgrader db upgrade")
        if version is None:
            with engine.begin() as connection:
                if "alembic_version" not in tables:
                    connection.execute(sqlalchemy.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
                connection.execute(sqlalchemy.text("INSERT INTO alembic_version (version_num) VALUES (:version)"), {"version": newest})
    finally:
        engine.dispose()
