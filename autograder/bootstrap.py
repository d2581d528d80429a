"""Make the project's virtual environment with nothing but Python's standard library.

    python3 -m autograder.bootstrap grade gradebook     # extras of pyproject.toml

What is installed already is left alone. torch's own index has builds for the CPU alone, a tenth of the size on Linux; it is used
when it answers within seconds and done without when it does not.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
import venv
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
ENVIRONMENT = REPOSITORY / ".venv"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_ANSWER_SECONDS = 4.0
_OLDEST_PYTHON = (3, 11)


def main(extras: Sequence[str]) -> int:
    """Exit code 0 when the environment holds what the extras ask for."""
    if sys.version_info < _OLDEST_PYTHON:
        return _fail(f"Python {sys.version.split()[0]} is too old: 3.11 or newer is needed (set PYTHON=python3.11)")
    known = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("optional-dependencies", {})
    for extra in extras:
        if extra not in known:
            return _fail(f"there is no extra {extra!r}; pyproject.toml has {', '.join(known)}")
    missing = [extra for extra in ("", *extras) if not (_stamp(extra).is_file() and _stamp(extra).read_text() == _wanted())]
    if not missing:
        return 0
    python = ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    try:
        if not python.is_file():
            print(f"Making {ENVIRONMENT.name} ...", flush=True)
            venv.create(ENVIRONMENT, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return _fail(f"{ENVIRONMENT} cannot be made: {error}; on Debian and Ubuntu, install python3-venv")
    target = f".[{','.join(extras)}]" if extras else "."
    print(f"Installing {target} into {ENVIRONMENT.name}; the first time takes some minutes ...", flush=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_index(), "--editable", target]
    if subprocess.run(command, cwd=REPOSITORY, check=False).returncode != 0:
        return _fail("pip could not install what is needed: see its message above; what was there before is unchanged")
    for extra in ("", *extras):
        _stamp(extra).write_text(_wanted())
    return 0


def _index() -> list[str]:
    if sys.platform != "linux":
        return []
    try:
        with urllib.request.urlopen(f"{CPU_INDEX}/torch/", timeout=_ANSWER_SECONDS):
            return ["--extra-index-url", CPU_INDEX]
    except (urllib.error.URLError, OSError, ValueError):
        return []


def _stamp(extra: str) -> Path:
    return ENVIRONMENT / f".installed-{extra or 'base'}"


def _wanted() -> str:
    return hashlib.sha256((REPOSITORY / "pyproject.toml").read_bytes()).hexdigest()


def _fail(problem: str) -> int:
    print(f"error: {problem}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
