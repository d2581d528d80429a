"""Collect from nbgrader's exchange, where every student can write: only plain files, only those that are graded, only one's own."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from nbgrader.exchange.default import ExchangeCollect  # type: ignore[import-untyped]

from autograder.course.late import parse_time
from autograder.nbgrader_course.folder import COPY_BYTES, RELEASE_KEY
from autograder.nbgrader_course.notebooks import code_notebook, notebook_bytes
from autograder.submissions.read import RefusedError, read_plain_file

_KEY = re.compile(r"[0-9A-Za-z_-]{16,200}")
_TIME = "timestamp.txt"


class Collect(ExchangeCollect):  # type: ignore[misc]
    """For `ExchangeFactory.collect`.

    nbgrader's own follows links, with the instructor's rights, and copies every file: what lies behind a link would be graded, and
    a page would be given back as feedback. It also takes the newest folder that bears a student's name, whoever made it.
    """

    src_records: list[dict[str, Any]]  # what nbgrader will copy

    def _path_to_record(self, path: str) -> dict[str, Any]:
        try:
            record: dict[str, Any] = super()._path_to_record(path)
        except (ValueError, OverflowError):
            self.log.error("%s does not say in its name when it was handed in, and is left out", path)
            record = {"username": None, "filename": os.path.basename(path), "timestamp": datetime.min}
        return record

    def _sort_by_timestamp(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """nbgrader takes the first of them."""
        ordered: list[dict[str, Any]] = super()._sort_by_timestamp(records)
        return [record for record in ordered if self._is_own(record)] or [{**ordered[0], "filename": None}]

    def copy_files(self) -> None:
        self.src_records = [record for record in self.src_records if record["filename"] is not None]
        super().copy_files()

    def _is_own(self, record: dict[str, Any]) -> bool:
        """Whether the student, or who collects and so may hand in for another, made the folder. As nbgrader's, told off by `check_owner`."""
        if record["username"] is None or not self.check_owner:
            return record["username"] is not None
        owner = os.lstat(os.path.join(self.inbound_path, record["filename"])).st_uid
        if owner == os.getuid() or _user(owner) == record["username"]:
            return True
        self.log.error("%s was handed in by %s and is left out: it is not %s's", record["filename"], _user(owner), record["username"])
        return False

    def do_copy(self, src: str, dest: str, log: Any = None) -> None:
        """The assignment's notebook and Python file, when and by which key; nothing else."""
        name = self.coursedir.assignment_id.split("_", 1)[-1]
        taken = {}
        try:
            folder = os.open(src, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            self.log.error("%s cannot be read and is left out: %s", src, error.strerror)
            return
        try:
            for filename in (f"{name}.ipynb", f"{name}.py", _TIME, RELEASE_KEY):
                try:
                    taken[filename] = read_plain_file(folder, filename, COPY_BYTES)
                except FileNotFoundError:
                    continue
                except RefusedError as error:
                    self.log.error("%s: %s", src, error)
        finally:
            os.close(folder)
        if f"{name}.py" in taken and f"{name}.ipynb" not in taken:
            # Where nbgrader finds no notebook it grades nothing.
            taken[f"{name}.ipynb"] = notebook_bytes(code_notebook(taken[f"{name}.py"].decode("utf-8", "replace")))
        taken[_TIME] = f"{self._handed_in(src, taken)} UTC\n".encode()
        if not _KEY.fullmatch(taken.get(RELEASE_KEY, b"").decode("ascii", "replace")):
            taken[RELEASE_KEY] = secrets.token_hex(64).encode()  # without a key nbgrader gives feedback back to nobody
        _write(Path(dest), taken)

    def _handed_in(self, src: str, taken: dict[str, bytes]) -> str:
        """The later of the two times that nbgrader notes: a student can change both."""
        named: datetime = self._path_to_record(src)["timestamp"]
        try:
            noted = parse_time(taken[_TIME].decode("ascii")).replace(tzinfo=None)
        except (KeyError, ValueError, OverflowError):
            noted = None
        if noted != named:
            self.log.warning("%s: %s says %s; the later of the two counts", src, _TIME, noted or "no time")
        return max(named, noted or named).isoformat(" ")


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """All of it or nothing."""
    temporary = folder.with_name(f".{secrets.token_hex(8)}.tmp")
    temporary.mkdir(parents=True)
    try:
        for filename, content in files.items():
            (temporary / filename).write_bytes(content)
        temporary.rename(folder)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
