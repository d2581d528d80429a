"""Run a grader with hostile code in it so that the machine comes to no harm: a namespace of its own, a throw-away folder, a deadline."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from autograder.grading.paths import REPOSITORY

_FILE_BYTES = 1 << 28
_GRACE = (  # what an attack leaves running has these seconds to act
    "for i in $(seq 30); do [ $(ls -d /proc/[0-9]* | wc -l) -le 4 ] && break; sleep 0.1; done"
)


def available() -> bool:
    return shutil.which("bwrap") is not None and run_confined(["true"], {"PATH": os.environ["PATH"]}, Path("/"), Path("/"), 10, writable=False) == 0


def run_confined(
    words: Sequence[str], environment: Mapping[str, str], folder: Path, work: Path, seconds: float, *, log: Path | None = None, writable: bool = True
) -> int | None:
    """The exit code, None when the deadline passed. Nothing but `work` can be written, no network reached, and no process outlives it."""
    command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    for needed in (str(REPOSITORY), sys.prefix, sys.base_prefix):  # even where they lie in /tmp
        command += ["--ro-bind", needed, needed]
    command += ["--bind", str(work), str(work)] if writable else []
    command += ["--chdir", str(folder), *words]
    with log.open("ab") if log else contextlib.nullcontext(subprocess.DEVNULL) as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES)),
        )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def script(lines: Sequence[str], path: Path) -> list[str]:
    """A shell's command for these lines, whatever each ends with, and for a moment in which what was left behind may act."""
    path.write_text("\n".join([*lines, _GRACE, "exit 0", ""]), encoding="utf-8")
    return ["sh", str(path)]
