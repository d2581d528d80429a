"""Gradebooks to test with: a file of SQLite's, and databases of a PostgreSQL server that this module starts and stops."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy

PASSWORD = "geheim-7391"
_PR_SET_PDEATHSIG = 1
# No durability: the server lives as long as the tests. `guarded` needs a password, everyone else is trusted.
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=30", "timezone=Asia/Seoul")
_WHO = "local all guarded scram-sha-256\nlocal all all trust\n"


@dataclass(frozen=True)
class Database:
    """An SQLAlchemy URL, and the gradebook behind it as it is."""

    url: str

    def execute(self, statement: str) -> list[Any]:
        """The rows, if any; committed."""
        engine = sqlalchemy.create_engine(self.url)
        with engine.begin() as connection:
            result = connection.exec_driver_sql(statement)
            rows = [tuple(row) for row in result] if result.returns_rows else []
        engine.dispose()
        return rows

    def dump(self) -> dict[str, list[str]]:
        """Every row of every table."""
        engine = sqlalchemy.create_engine(self.url)
        with engine.connect() as connection:
            tables = sqlalchemy.inspect(connection).get_table_names()
            rows = {name: sorted(map(repr, connection.exec_driver_sql(f'SELECT * FROM "{name}"'))) for name in tables}
        engine.dispose()
        return rows


@dataclass
class Server:
    """A running PostgreSQL server on a Unix socket of its own."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, name: str, user: str = "course") -> str:
        return f"postgresql://{user}@/{name}?host={self.folder}"

    @contextmanager
    def database(self, options: str = "") -> Iterator[Database]:
        """A new database, with the options of CREATE DATABASE."""
        name = f"grades{next(self._numbers)}"
        self.administer(f"CREATE DATABASE {name} {options}")
        try:
            yield Database(self.url(name))
        finally:
            self.administer(f"DROP DATABASE {name} WITH (FORCE)")

    def administer(self, statement: str) -> None:
        engine = sqlalchemy.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


def postgresql_programs() -> Path | None:
    """The folder of initdb and postgres; None when PostgreSQL is not installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    for folder in [Path(on_path).resolve().parent] if on_path else installed:
        if all((folder / name).is_file() for name in ("initdb", "postgres")):
            return folder
    return None


@contextmanager
def postgresql(programs: Path) -> Iterator[Server]:
    """A server with nothing in it; it ends with this process, however that ends. root starts it as another user, since it refuses root."""
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as name:  # a socket's path holds about 100 characters
        folder = Path(name)
        other: dict[str, Any] = {}
        if os.geteuid() == 0:
            who = pwd.getpwnam("nobody")
            other = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
            os.chown(folder, who.pw_uid, who.pw_gid)
        data = folder / "data"
        make = [programs / "initdb", "-D", data, "-U", "course", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        subprocess.run(make, check=True, capture_output=True, cwd=folder, timeout=120, **other)
        (data / "pg_hba.conf").write_text(_WHO)
        settings = [part for setting in (*_SETTINGS, f"unix_socket_directories={folder}") for part in ("-c", setting)]
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", data, *settings], cwd=folder, stdout=log, stderr=log, preexec_fn=_ends_with_its_parent, **other
            )
        try:
            server = Server(folder)
            _wait_for(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _ends_with_its_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.administer(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}' IN ROLE course")
            return
        except sqlalchemy.exc.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(server.folder / 'log').read_text()}") from None
            time.sleep(0.05)
