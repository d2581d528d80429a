"""Which paths a worker may read: Python's libraries and the shared libraries below them, nothing of the course."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import autograder

# The folder that holds the package `autograder`: the repository, or a site-packages folder.
ROOT = Path(autograder.__file__).resolve().parent.parent

# What a worker imports of the package, and the only part of it that is ever inside a sandbox.
OWN_MODULES = (
    "autograder/__init__.py",
    "autograder/wire",
    "autograder/worker",
    "autograder/checking/__init__.py",
    "autograder/checking/given.py",
    "autograder/checking/measurement.py",
)

DEVICES = (Path("/dev/null"), Path("/dev/zero"), Path("/dev/random"), Path("/dev/urandom"))

# Torch picks its kernels by these when it is imported.
PROCESSOR_DESCRIPTION = (Path("/proc/cpuinfo"), Path("/sys/devices/system/cpu"))

_SYSTEM_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/nix/store")


def site_folders() -> list[Path]:
    """Folders of installed packages on this process's import path."""
    return [Path(entry) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages") and Path(entry).is_dir()]


def standard_library() -> list[Path]:
    names = ("stdlib", "platstdlib")
    return [path for path in _unique(Path(os.path.realpath(sysconfig.get_path(name, vars=_base()))) for name in names) if path.is_dir()]


def import_path() -> list[str]:
    """sys.path of a worker's process while it still imports: no repository, no .pth file, no user folder of its own choosing."""
    dynamic = [str(folder / "lib-dynload") for folder in standard_library()]
    return [*map(str, standard_library()), *dynamic, *map(str, site_folders())]


def paths() -> list[Path]:
    """Files and folders that a worker may read, the course's own packages left out wherever they are installed."""
    libraries = [Path(name) for name in (*_SYSTEM_LIBRARIES, *os.environ.get("LD_LIBRARY_PATH", "").split(":")) if name]
    own_libraries = [Path(sys.base_prefix).resolve() / "lib", *_interpreter_library()]
    roots = [path for path in _unique([*libraries, *own_libraries, *standard_library(), *site_folders()]) if path.is_dir()]
    hidden = {ROOT} | {child for folder in _package_folders(roots) for child in _children(folder) if is_hidden_package(child.name)}
    found = [path for root in roots for path in without(root, hidden)]
    return [*_unique(found), Path("/etc/ld.so.cache")]


def is_hidden_package(name: str) -> bool:
    """Whether an entry of a site-packages folder belongs to the course: it may hold hidden tests."""
    lowered = name.lower()
    return "autograder" in lowered or lowered.startswith(("nbgrader", "__editable__"))


def without(folder: Path, hidden: Iterable[Path]) -> Iterator[Path]:
    """Paths that together hold all of `folder` except what is `hidden` below it."""
    resolved = Path(os.path.realpath(folder))
    below = {path for path in hidden if resolved in path.parents}
    if not below:
        yield folder
        return
    for child in _children(folder):
        if child in below or Path(os.path.realpath(child)) in below:
            continue
        if child.is_dir() and not child.is_symlink():
            yield from without(child, below)
        else:
            yield child


def _package_folders(roots: Iterable[Path]) -> list[Path]:
    nested = [
        Path(os.path.realpath(found)) for root in roots for kind in ("site-packages", "dist-packages") for found in root.glob(f"python3*/{kind}")
    ]
    inner = [Path(os.path.realpath(root / kind)) for root in roots for kind in ("site-packages", "dist-packages")]
    return list(_unique([*nested, *inner, *(Path(os.path.realpath(folder)) for folder in site_folders())]))


def _interpreter_library() -> list[Path]:
    folder = sysconfig.get_config_var("LIBDIR")
    return [Path(folder)] if folder else []


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _base() -> dict[str, str]:
    return {"base": sys.base_prefix, "platbase": sys.base_exec_prefix, "installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix}


def _unique(paths: Iterable[Path]) -> Iterator[Path]:
    yield from dict.fromkeys(paths)
