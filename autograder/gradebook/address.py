"""The address of a gradebook, an SQLAlchemy URL: what it names, how it is opened and how it is shown."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_SECONDS = 20  # for another program that writes to the gradebook, and for a server that does not answer
_SQLITE_HEADER = b"SQLite format 3\0"
_SECRET_OPTIONS = ("password", "sslpassword")


class GradebookError(Exception):
    """The gradebook cannot be read or written; the results folder still holds every grade."""


@dataclass(frozen=True)
class Address:
    """shown: without its password. url: with it, and with options that the address leaves open, how long to wait first."""

    shown: str
    backend: str  # "sqlite", "postgresql", or what else SQLAlchemy knows
    url: str = field(repr=False)


def without_password(url: str) -> str:
    """The URL as it may be shown. Raises ValueError or SQLAlchemy's ArgumentError when it is none."""
    parsed = importlib.import_module("sqlalchemy.engine").make_url(url)
    hidden = {name: "***" for name in _SECRET_OPTIONS if name in parsed.query}
    return str(parsed.update_query_dict(hidden).render_as_string(hide_password=True)).replace("%2A%2A%2A", "***")


def read_address(url: str) -> Address:
    """Raises GradebookError when the URL names nothing that could be a gradebook, or its driver is not installed."""
    errors = importlib.import_module("sqlalchemy.exc")
    try:
        parsed = importlib.import_module("sqlalchemy.engine").make_url(url)
        shown = without_password(url)
    except (errors.ArgumentError, ValueError):
        raise GradebookError("the gradebook's address is not a database URL; expected one like sqlite:///gradebook.db") from None
    if "@" in (parsed.host or ""):
        raise GradebookError("the gradebook's address has an @ in its user or password; write it as %40") from None
    backend = parsed.get_backend_name()
    try:
        parsed.get_dialect().import_dbapi()
    except errors.NoSuchModuleError:
        raise GradebookError(f"the gradebook {shown}: unknown kind of database; expected sqlite:///FILE or postgresql://…") from None
    except ImportError as error:
        advice = "; install psycopg: pip install -e '.[gradebook]', and write postgresql+psycopg://…" if backend == "postgresql" else ""
        raise GradebookError(f"the gradebook {shown} needs a driver that is not installed: {error}{advice}") from None
    if backend == "sqlite" and not parsed.query.get("uri"):
        if parsed.database in (None, "", ":memory:"):
            raise GradebookError(f"the gradebook {shown} would be lost at the end of the run; expected one like sqlite:///gradebook.db")
        _check_file(Path(parsed.database))
    given = _defaults(backend, parsed.drivername)
    opened = parsed.update_query_dict({name: value for name, value in given.items() if name not in parsed.query})
    return Address(shown, backend, opened.render_as_string(hide_password=False))


def _defaults(backend: str, driver: str) -> dict[str, str]:
    if backend == "sqlite":
        return {"timeout": str(PATIENCE_SECONDS)}
    if driver in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        waits = {"connect_timeout": str(PATIENCE_SECONDS), "options": f"-c lock_timeout={PATIENCE_SECONDS}s"}
        return {**waits, "client_encoding": "utf8"}  # of a database that names no encoding the driver would give bytes
    return {}


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
