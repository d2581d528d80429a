"""A package that is not installed is one sentence, not a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autograder.cli import main


@pytest.mark.parametrize("verb", [("collect", "out", "--folder", "x"), ("post", "x")])
def test_what_is_missing_and_how_to_get_it(verb, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.startswith(("autograder.commands.", "autograder.github", "autograder.collect.from_github"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "httpx", None)  # as if it were not there
    monkeypatch.chdir(tmp_path)
    assert main(list(verb)) == 2
    assert "error: httpx is not installed: `make grade-env`" in capsys.readouterr().err
