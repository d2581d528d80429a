"""An environment of its own for the graders that are compared with: made at the first use, it shares torch with this one."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

from autograder.grading.paths import REPOSITORY

FOLDER = REPOSITORY / ".venv-bench"
NBGRADER, OTTER = "nbgrader", "otter-grader"
_INSTALL_SECONDS = 900


@dataclass(frozen=True)
class Tools:
    """python: the interpreter that has the other graders. missing: packages that could not be had, and why."""

    python: Path
    missing: dict[str, str]


def pins() -> dict[str, str]:
    """Packages and versions that the extra "bench" names."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(requirement.split("==") for requirement in project["project"]["optional-dependencies"]["bench"])


def prepare(log: Path) -> Tools:
    """Make the environment, or mend it where something is missing."""
    python = FOLDER / "bin" / "python"
    if not python.exists():
        shutil.rmtree(FOLDER, ignore_errors=True)
        venv.create(FOLDER, with_pip=True, symlinks=True)
        (FOLDER / ".gitignore").write_text("*\n", encoding="utf-8")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # Packages of this environment are seen from there: a second torch would cost gigabytes and change what is compared.
    (FOLDER / "lib" / version / "site-packages" / "of_the_grader.pth").write_text("\n".join(site.getsitepackages()) + "\n", encoding="utf-8")
    missing = {}
    for package, wanted in pins().items():
        if _installed_version(python, package) == wanted:
            continue
        reason = _install(python, f"{package}=={wanted}", log)
        if _installed_version(python, package) != wanted:
            missing[package] = reason or "it cannot be imported"
    return Tools(python, missing)


def environment(**more: str) -> dict[str, str]:
    """Variables for every tool alike: one thread each, the repository importable, programs of both environments on PATH."""
    folders = [str(FOLDER / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "JUPYTER_", "COVERAGE_"))}
    fixed = {
        "PATH": os.pathsep.join(folders),
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "AUTOGRADER_SECRET": "benchmark",
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    return kept | fixed | more


def _installed_version(python: Path, package: str) -> str:
    asked = subprocess.run(
        [python, "-c", f"import importlib.metadata as m; print(m.version({package!r}))"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


def _install(python: Path, requirement: str, log: Path) -> str:
    """Empty when it worked, else the last line of what pip said."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
    try:
        with log.open("ab") as output:
            done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=_INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else "pip failed")[:300]
