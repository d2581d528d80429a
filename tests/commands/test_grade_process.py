"""`autograder grade` as a process of its own: started, killed, interrupted, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_class import ZEROS, InlineExecutor, TinyClass
from warm_grader import LIMITS, ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")

SLOW = ZEROS + "\nimport time\n\ndef padding_mask(token_ids, pad_id):\n    time.sleep(1000)\n"
_SECONDS = 120.0


def start(tiny: TinyClass, *more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "AUTOGRADER_SECRET": "a secret of the tests", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "autograder", *tiny.arguments("--assignment", "01", "--jobs", "1", *more)]
    return subprocess.Popen(
        command, cwd=tiny.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    ends_at = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < ends_at, "the grader did not get that far"
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def below(pid: int) -> set[int]:
    """Processes below this one now; the grader's helpers keep its session even when their parent is gone."""
    found = {pid}
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    while grown := {child for child, parent in parents.items() if parent in found} - found:
        found |= grown
    return found - {pid}


def end_soon(pids: set[int]) -> bool:
    ends_at = time.monotonic() + 30
    while not _gone(pids) and time.monotonic() < ends_at:
        time.sleep(0.05)
    return _gone(pids)


def _gone(pids: set[int]) -> bool:
    return not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_control_c_ends_a_run_at_once_and_the_same_command_goes_on(tiny: TinyClass) -> None:
    tiny.hand_in("zoe", SLOW)
    stopped = start(tiny)
    wait_until(lambda: len(tiny.reports()) == 3, stopped)
    processes = below(stopped.pid)
    os.killpg(stopped.pid, signal.SIGINT)  # as a terminal does
    out, err = stopped.communicate(timeout=LIMITS.submission_seconds / 2)
    assert (stopped.returncode, err) == (130, "")
    assert "Stopped. What was graded is kept; the same command goes on from here." in out
    assert end_soon(processes)

    kept = tiny.files()
    tiny.hand_in("zoe", (ROOT / "reference_solutions" / "attention.py").read_text())
    resumed = start(tiny)
    out, err = resumed.communicate(timeout=_SECONDS)
    assert (resumed.returncode, err) == (0, "")
    assert "1 submission graded" in out
    assert "3 unchanged" in out
    assert all(tiny.files()[name] == content for name, content in kept.items())
    assert {student: report["score"] for (student, _), report in tiny.reports().items()} == {"ann": 0, "bob": 0, "cem": 0, "zoe": 20}
    assert (tiny.results / "class_report.html").is_file()


def test_a_run_that_is_killed_leaves_no_process_and_is_resumed(tiny: TinyClass, inline: InlineExecutor) -> None:
    (tiny.submissions / "aaa").mkdir()  # missing: a report that is there before the first worker
    killed = start(tiny)
    wait_until(tiny.reports, killed)
    processes = below(killed.pid)
    killed.kill()
    killed.communicate()
    assert len(processes) > 1
    assert end_soon(processes)

    kept = tiny.files()
    assert tiny.grade("--assignment", "01") == 0
    assert all(tiny.files()[name] == content for name, content in kept.items())
    assert {student for student, _ in tiny.reports()} == {"aaa", "ann", "bob", "cem"}
    assert "aaa" not in inline.submitted
