"""Whatever lies where a submission should be, reading it ends in its text or in one sentence."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from autograder.reports.model import Status
from autograder.submissions.read import Reading, read_submission

MAX_BYTES = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "ann" / "01_attention"
    path.mkdir(parents=True)
    return path


def read(folder: Path, stub: str = "") -> Reading:
    return read_submission(folder, "attention", MAX_BYTES, stub)


def refusal(folder: Path) -> str:
    reading = read(folder)
    assert reading.status is Status.UNREADABLE
    assert reading.text == ""
    assert "\n" not in reading.message
    assert str(folder) not in reading.message
    return reading.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"x = 1\ny = '\xff'\n", "not UTF-8 text (line 2)"),
        ("x = 1".encode("utf-16"), "UTF-16"),
        (b"x\n\0", "NUL character (line 2)"),
        (b"#" * (MAX_BYTES + 1), "more than 1,000 bytes (1,001)"),
        (b"PK\x03\x04" + b"\0" * 90, "NUL character"),
    ],
)
def test_files_that_hold_no_text(folder: Path, data: bytes, words: str) -> None:
    (folder / "attention.py").write_bytes(data)
    assert words in refusal(folder)


def test_line_ends_and_a_byte_order_mark_do_not_matter(folder: Path) -> None:
    (folder / "attention.py").write_bytes(b"\xef\xbb\xbfx = 1\r\ny = 2\rz = 3\n")
    assert read(folder).text == "x = 1\ny = 2\nz = 3\n"


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.py"
    secret.write_text("hidden")
    (folder / "attention.py").symlink_to(secret)
    assert "symbolic link" in refusal(folder)
    linked = tmp_path / "bob" / "01_attention"
    linked.parent.mkdir()
    linked.symlink_to(folder)
    assert "symbolic link" in refusal(linked)
    (tmp_path / "eve").symlink_to(tmp_path / "ann")
    assert "symbolic link" in refusal(tmp_path / "eve" / "01_attention")


def test_things_that_are_no_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "attention.py"
    path.mkdir()
    assert "is a folder" in refusal(folder)
    path.rmdir()
    os.mkfifo(path)
    assert "not a regular file" in refusal(folder)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(folder)  # a socket's address holds 107 bytes, fewer than many a path
        listener.bind(path.name)
        monkeypatch.undo()
        assert "not a regular file" in refusal(folder)
    path.unlink()
    folder.rmdir()
    folder.write_text("a file in the folder's place")
    assert "where a folder belongs" in refusal(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_and_folders_without_permission(folder: Path) -> None:
    path = folder / "attention.py"
    path.write_text("x = 1")
    path.chmod(0)
    assert "cannot be read" in refusal(folder)
    folder.chmod(0)
    assert "cannot be opened" in refusal(folder)
    folder.chmod(0o700)


def test_what_was_not_handed_in_is_missing_and_the_folder_is_named(folder: Path, tmp_path: Path) -> None:
    assert read(tmp_path / "nobody" / "01_attention") == Reading(Status.MISSING, message="Nothing was handed in.")
    (folder / "atention.py").write_text("x")
    (folder / "bad\x1b[2Jname\n.py").write_text("x")
    (folder / ".hidden").write_text("x")
    reading = read(folder)
    assert reading.status is Status.MISSING
    assert reading.message == "attention.py was not handed in. The folder holds atention.py."


@pytest.mark.parametrize(
    "text", ["yesterday", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "\xff", "x" * 500, "2026-13-45", "1e400", ""]
)
def test_a_time_that_cannot_be_read_counts_as_on_time_and_is_noted(folder: Path, text: str) -> None:
    (folder / "attention.py").write_text("x = 1")
    (folder / "timestamp.txt").write_bytes(text.encode("latin-1"))
    reading = read(folder)
    assert reading.status is Status.GRADED
    assert reading.submitted_at is None
    assert "cannot be read as a time" in reading.notes[0]


def test_a_file_wins_over_a_notebook_unless_it_is_the_stub(folder: Path) -> None:
    cell = {"cell_type": "code", "source": "y = 2", "metadata": {"nbgrader": {}}}
    (folder / "attention.py").write_text("x = 1\n")
    (folder / "attention.ipynb").write_text(f'{{"cells": [{cell}]}}'.replace("'", '"'))
    assert read(folder).text == "x = 1\n"
    assert "attention.py was graded" in read(folder).notes[0]
    assert read(folder).remarks == ("Both attention.py and attention.ipynb were handed in; attention.py was graded.",)
    of_notebook = read(folder, stub="x = 1")
    assert of_notebook.text == "y = 2\n"
    assert of_notebook.remarks[0] == "attention.py is still the stub; attention.ipynb was graded."
    (folder / "attention.py").write_text("\n")
    assert read(folder).text == "y = 2\n"
    assert read(folder).remarks[0] == "attention.py is empty; attention.ipynb was graded."
