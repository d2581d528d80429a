"""What students hand in besides a plain file of Python: odd bytes, odd files, odd notebooks, odd names. Each function lays out one folder."""

from __future__ import annotations

import io
import json
import os
import socket
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trial import SUBMISSIONS
from warm_grader import ROOT

from autograder.reports.model import Status

ZEROS = (SUBMISSIONS / "_zeros_attention.py").read_text()
HOSTILE = '<script>hostile()</script><img src=x onerror="hostile()">[x](javascript:hostile)\x1b[2J\u202e'
Lay = Callable[[Path, str], None]  # the assignment's folder, not made yet, and the path of a file that holds the canary


@dataclass(frozen=True)
class Form:
    """One way to hand in. A graded one is of zeros, and earns what they earn."""

    lay: Lay
    status: Status
    message: str
    flag: str

    @property
    def aim(self) -> str:
        return (self.lay.__doc__ or "").strip()


FORMS: dict[str, Form] = {}
# Folders' names, each handing in zeros: (name, whether the grader passes it over).
NAMES = (
    "a b",
    "quo'te\"",
    "emoji 🤖",
    "=cmd|' C calc'!A0",
    "+1+1",
    "@SUM(A1)",
    "-rf",
    "--help",
    "<script>hostile()<",
    "[x](javascript:hostile)",
    "{{7*7}}",
    "%(x)s{0.__globals__}",
    "\x1b[2J\x1b]0;title\x07",
    "\u202egpj.exe",
    "zero\u200bwidth",
    "new\nline",
    "tab\t",
    "$(touch red-team-mark)",
    "`id`;id",
    "aux.",
    "~",
    "#1?.html",
    "'; DROP TABLE grade; --",
    "na\u00efve",
    "nai\u0308ve",
    "x" * 200,
    "back\\slash",
    "::error file=x::hostile",
    "##[group]hostile",
)


def form(status: Status = Status.GRADED, message: str = "", flag: str = "") -> Callable[[Lay], Lay]:
    def add(lay: Lay) -> Lay:
        FORMS[lay.__name__] = Form(lay, status, message, flag)
        return lay

    return add


def _file(folder: Path, content: bytes | str, name: str = "attention.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _notebook(folder: Path, *cells: dict[str, Any], **more: Any) -> None:
    _file(folder, json.dumps({"cells": list(cells), "nbformat": 4, "nbformat_minor": 5, "metadata": {}, **more}), "attention.ipynb")


def _cell(source: Any, **metadata: Any) -> dict[str, Any]:
    marked = {"nbgrader": {"grade_id": "solution", "solution": True, "locked": False, "grade": False, "schema_version": 3}}
    return {"cell_type": "code", "source": source, "metadata": metadata or marked, "outputs": [], "execution_count": None}


@form(Status.UNREADABLE, "is not UTF-8 text")
def not_utf8(folder: Path, _secret: str) -> None:
    """Bytes that are no UTF-8."""
    _file(folder, ZEROS.encode() + b"# \xff\xfe\x00")


@form(Status.UNREADABLE, "holds a NUL character")
def nul_bytes(folder: Path, _secret: str) -> None:
    """A text with NUL in it, where C ends a text and Python does not."""
    _file(folder, ZEROS + "\0" + HOSTILE)


@form(Status.UNREADABLE, "is empty")
def empty(folder: Path, _secret: str) -> None:
    """No byte at all."""
    _file(folder, b"")


@form(Status.UNREADABLE, "is empty")
def blank(folder: Path, _secret: str) -> None:
    """Nothing but a million blanks and line ends."""
    _file(folder, b" \r\n" * 100_000)


@form()
def windows_lines(folder: Path, _secret: str) -> None:
    """Lines ended as on Windows, after a byte order mark."""
    _file(folder, b"\xef\xbb\xbf" + ZEROS.replace("\n", "\r\n").encode())


@form()
def old_mac_lines(folder: Path, _secret: str) -> None:
    """Lines ended by a carriage return alone, which a terminal takes for a way back to the line's beginning."""
    _file(folder, ZEROS.replace("\n", "\r"))


@form(Status.UNREADABLE, "has more than 1,000,000 bytes")
def a_hundred_megabytes(folder: Path, _secret: str) -> None:
    """A source of 100 MB, most of it a hole in the disk."""
    with open(_file(folder, ZEROS), "r+b") as file:
        file.truncate(100_000_000)


@form(Status.UNREADABLE, "is not UTF-8 text")
def a_zip_bomb(folder: Path, _secret: str) -> None:
    """An archive in place of a source, which unpacks to a gigabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("attention.py", "w", force_zip64=True) as file:
        for _ in range(64):
            file.write(bytes(2**24))
    _file(folder, buffer.getvalue()[:900_000])


@form(Status.UNREADABLE, "is a symbolic link")
def a_link_to_a_secret(folder: Path, secret: str) -> None:
    """A symbolic link to a file that holds a secret."""
    folder.mkdir(parents=True)
    (folder / "attention.py").symlink_to(secret)


@form(Status.UNREADABLE, "is a symbolic link")
def a_link_to_a_hidden_test(folder: Path, _secret: str) -> None:
    """A relative symbolic link to the hidden suite."""
    folder.mkdir(parents=True)
    (folder / "attention.py").symlink_to(os.path.relpath(ROOT / "autograder/hidden_tests/test_attention.py", folder))


@form(Status.UNREADABLE, "is a symbolic link")
def a_link_to_itself(folder: Path, _secret: str) -> None:
    """A symbolic link that leads to itself."""
    folder.mkdir(parents=True)
    (folder / "attention.py").symlink_to("attention.py")


@form(Status.UNREADABLE, "is a symbolic link or a file where a folder belongs")
def a_linked_folder(folder: Path, secret: str) -> None:
    """A symbolic link in place of the assignment's folder, to another student's."""
    folder.parent.mkdir(parents=True)
    folder.symlink_to(Path(secret).parent / "students" / "ann" / "01_attention")


@form(Status.UNREADABLE, "is not a regular file")
def a_pipe(folder: Path, _secret: str) -> None:
    """A FIFO: whoever opens it waits for a writer that never comes."""
    folder.mkdir(parents=True)
    os.mkfifo(folder / "attention.py")


@form(Status.UNREADABLE, "is not a regular file")
def a_socket(folder: Path, _secret: str) -> None:
    """A socket in place of the source."""
    folder.mkdir(parents=True)
    here = os.getcwd()
    os.chdir(folder)  # a socket's path may be no longer than a hundred bytes
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.bind("attention.py")
    finally:
        os.chdir(here)


@form(Status.UNREADABLE, "is a folder")
def a_folder_of_that_name(folder: Path, _secret: str) -> None:
    """A folder named attention.py with a module inside."""
    _file(folder / "attention.py", ZEROS, "__init__.py")


@form(Status.MISSING, "attention.py was not handed in")
def names_nearby(folder: Path, _secret: str) -> None:
    """Names that only look like the right one: other letters, blanks, case, and tags to be shown in the list of what is there."""
    for name in ("Attention.py", "attention.py ", "attenti\u043en.py", "attention.pyc", "<b hostile>.py", "\x1b[2J.py", "a" * 200):
        _file(folder, ZEROS, name)


@form(Status.BROKEN, "is not valid Python")
def a_syntax_error_in_its_own_words(folder: Path, _secret: str) -> None:
    """Does not parse, and says so in words of its own: the parser's message quotes the source."""
    _file(folder, f"name = “{HOSTILE}”\n")


@form(Status.BROKEN, "could not be loaded")
def an_import_that_fails_in_its_own_words(folder: Path, _secret: str) -> None:
    """Fails as it is loaded, on a line of tags and escapes, with a text of the same."""
    _file(folder, f"raise ImportError({HOSTILE!r})  # <img src=x onerror=hostile()> [x](javascript:hostile) ```\n")


@form(flag="timestamp.txt cannot be read as a time")
def a_time_that_is_none(folder: Path, _secret: str) -> None:
    """A time of handing in that is none: tags, escapes and a zone that is a path."""
    _file(folder, ZEROS)
    _file(folder, f"{HOSTILE[:100]} ../../../etc/passwd", "timestamp.txt")


@form()
def a_time_before_all_times(folder: Path, _secret: str) -> None:
    """A time of handing in at the beginning of the calendar, in a zone ahead of it."""
    _file(folder, ZEROS)
    _file(folder, "0001-01-01 00:00:00 UTC", "timestamp.txt")


@form()
def records_and_results(folder: Path, _secret: str) -> None:
    """A record of its own collection, a perfect report, a roster, settings and a suite beside the source."""
    _file(folder, ZEROS)
    perfect = json.dumps({"schema_version": 1, "score": 20.0, "max_score": 20.0, "status": "graded", "student": folder.parent.name, "tests": []})
    for name in (
        "current",
        "report.json",
        "results.json",
        "roster.csv",
        "course.toml",
        "gradebook.db",
        "test_attention.py",
        "conftest.py",
        "pytest.ini",
    ):
        _file(folder, perfect, name)
    _file(folder.parent, json.dumps({"schema_version": 1, "student": "ann", "where": "/", "seen": [], "assignments": {}}), ".collected.json")


@form()
def a_notebook_of_magics(folder: Path, secret: str) -> None:
    """A notebook whose cells run shell commands, load files and change settings, by magics of lines and of cells."""
    lines = [f"!cat {secret}", "%run evil.py", f"%load {secret}", "%env PATH=.", "%cd /", "!touch red-team-mark", "!!id", "?torch", "%%bash"]
    _notebook(folder, _cell("\n".join(lines[:-1]) + "\n" + ZEROS), _cell(f"%%bash\ncat {secret}"), _cell("%%writefile /tmp/red-team-mark\nx"))


@form(flag="")
def a_notebook_of_changed_ids(folder: Path, _secret: str) -> None:
    """A notebook whose grade ids are those of hidden tests and of questions, worth a thousand points, locked and graded."""
    marks = [
        {"grade_id": grade_id, "grade": True, "solution": True, "locked": False, "points": 1000, "task": False, "schema_version": 3, "checksum": "0"}
        for grade_id in ("test_padding_mask", "test_padding_mask", "../../x", "question-why", "x" * 10_000)
    ]
    parts = ZEROS.split("\n\n\n")
    _notebook(folder, *(_cell(part, nbgrader=mark) for part, mark in zip(parts, marks, strict=True)))


@form()
def a_notebook_with_cells_twice(folder: Path, _secret: str) -> None:
    """A notebook with every cell of the course twice, and those of its tests deleted."""
    _notebook(folder, *(_cell(part) for part in ZEROS.split("\n\n\n") * 2))


@form()
def a_notebook_with_a_solution_in_a_test(folder: Path, _secret: str) -> None:
    """A notebook that brings its own tests, in cells that are marked as the course's: all of them pass."""
    test = {"grade_id": "test_all", "grade": True, "solution": False, "locked": True, "points": 20, "schema_version": 3}
    _notebook(folder, _cell(ZEROS), _cell("def test_all():\n    assert True\n\n\ntest_all()\nscore = 20", nbgrader=test))


@form()
def a_notebook_of_hostile_outputs(folder: Path, _secret: str) -> None:
    """A notebook whose outputs, metadata and attachments hold scripts, and that says that it was trusted and graded."""
    cell = _cell(ZEROS)
    data = {
        "text/html": HOSTILE,
        "application/javascript": "hostile()",
        "text/latex": "\\input{/etc/passwd}",
        "image/svg+xml": "<svg onload=hostile()>",
    }
    cell["outputs"] = [
        {"output_type": "display_data", "data": data, "metadata": {}},
        {"output_type": "error", "ename": HOSTILE, "traceback": [HOSTILE]},
    ]
    page = {"cell_type": "markdown", "source": HOSTILE, "metadata": {}, "attachments": {"../../x": {"image/png": "x"}}}
    _notebook(folder, cell, page, metadata={"signature": HOSTILE, "kernelspec": {"name": "../../x", "argv": ["sh"]}, "score": 20})


@form(Status.UNREADABLE, "holds a character that no Python file can hold")
def a_notebook_of_half_characters(folder: Path, _secret: str) -> None:
    """A notebook whose source has half of a surrogate pair, which no file can be written with."""
    _notebook(folder, _cell(ZEROS + "# \ud800"))


@form(Status.UNREADABLE, "is not a notebook")
def a_notebook_nested_too_deeply(folder: Path, _secret: str) -> None:
    """A notebook of a hundred thousand open brackets."""
    _file(folder, '{"cells":' + "[" * 100_000, "attention.ipynb")


@form(Status.UNREADABLE, "is not a notebook")
def a_notebook_of_other_types(folder: Path, _secret: str) -> None:
    """A notebook whose cells are numbers, whose keys come twice and whose format is another."""
    _file(folder, '{"cells": 3, "cells": {"0": 1}, "nbformat": NaN}', "attention.ipynb")


def lay_out(submissions: Path, secret: str) -> None:
    """A class of all forms and names."""
    for name, entry in FORMS.items():
        entry.lay(submissions / name / "01_attention", secret)
    for name in NAMES:
        _file(submissions / name / "01_attention", ZEROS)
    (submissions / "a_linked_student").symlink_to(Path(secret).parent / "students" / "ann")
    _file(submissions, HOSTILE, "a file of no student <b hostile>\x1b[2J")
