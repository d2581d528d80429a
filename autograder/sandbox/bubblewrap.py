"""The command line of bubblewrap: own namespaces, and a file system made of nothing but what a worker may read."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from autograder.sandbox import readable


def executable() -> str | None:
    return shutil.which("bwrap")


def command(program: str, inner: Sequence[str], paths: Iterable[Path]) -> list[str]:
    """`inner` under bubblewrap at `program`: user, process, IPC, network and host names of its own, `paths` read-only."""
    arguments = [program, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "worker"]
    for path in _parents_first(paths):
        if path.is_symlink():
            # A link among whole folders (/lib -> usr/lib): the same link inside, its target is listed for itself.
            arguments += ["--symlink", str(path.readlink()), str(path)] if path.parent == Path("/") else ["--ro-bind-try", str(path), str(path)]
        else:
            arguments += ["--ro-bind-try", str(path), str(path)]
    for device in readable.DEVICES:
        arguments += ["--dev-bind-try", str(device), str(device)]
    for path in readable.PROCESSOR_DESCRIPTION:
        arguments += ["--ro-bind-try", str(path), str(path)]
    return [*arguments, "--remount-ro", "/", "--chdir", "/", "--", *inner]


def _parents_first(paths: Iterable[Path]) -> list[Path]:
    """Without paths that another one covers."""
    kept: list[Path] = []
    seen: set[Path] = set()
    for path in sorted(set(paths), key=lambda path: len(path.parts)):
        if not any(parent in seen for parent in path.parents):
            kept.append(path)
            seen.add(path)
    return kept
