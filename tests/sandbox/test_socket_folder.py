"""A long TMPDIR does not stop grading."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from autograder.sandbox.socket_folder import socket_folder


@pytest.mark.parametrize(("name", "expected"), [("t" * 40, "/tmp/" + "t" * 40), ("t" * 90, "/tmp"), ("ü" * 40, "/tmp")])
def test_a_path_that_leaves_no_room_for_a_socket_is_not_used(monkeypatch: pytest.MonkeyPatch, name: str, expected: str) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(Path("/tmp") / name))
    assert socket_folder() == expected
