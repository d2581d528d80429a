"""What a command and all its processes cost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from autograder.bench.process_tree import CommandError, Usage, run_measured

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")


def measure(code: str, folder: Path) -> Usage:
    return run_measured([sys.executable, "-S", "-c", code], os.environ, folder, folder / "log")


def test_a_child_that_the_command_waited_for_is_counted(tmp_path: Path) -> None:
    assert measure(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}], check=True)", tmp_path).cpu_seconds >= 0.3


@linux_only
def test_a_child_that_nobody_waited_for_is_counted(tmp_path: Path) -> None:
    usage = measure(f"import os\nif os.fork() == 0:\n    os.setsid()\n    exec({BURN!r})\n", tmp_path)
    assert usage.cpu_seconds >= 0.3
    assert usage.leftovers == 0


@linux_only
def test_a_process_that_outlives_the_command_is_reported_and_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograder.bench.process_tree._GRACE_SECONDS", 0.1)
    note = tmp_path / "pid"
    code = f"import os, signal, sys\nif os.fork() == 0:\n    open({str(note)!r}, 'w').write(str(os.getpid()))\n    signal.pause()\n"
    code += f"while not os.path.exists({str(note)!r}): pass\n"
    assert measure(code, tmp_path).leftovers == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_the_largest_process_is_noted(tmp_path: Path) -> None:
    assert measure("block = b'x' * (200 << 20)", tmp_path).largest_process_bytes > 200 << 20


def test_a_command_that_fails_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"ended with 3.*no such class"):
        measure("import sys\nprint('no such class')\nsys.exit(3)", tmp_path)


@linux_only
def test_an_interrupt_ends_the_command_too(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def interrupt_when_it_runs() -> None:
        fifo.read_text()
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt_when_it_runs)
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        measure(f"import signal\nopen({str(fifo)!r}, 'w').close()\nsignal.pause()", tmp_path)
    watcher.join()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@linux_only
def test_the_time_of_a_pid_namespace_that_ends_by_force_is_counted(tmp_path: Path) -> None:
    program = shutil.which("unshare")
    if program is None or subprocess.run([program, "--user", "--pid", "--fork", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this system lets nobody make a PID namespace")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    inner = f"""
import os, signal
if os.fork() == 0:
    exec({BURN.replace("0.3", "1")!r})
    open({str(fifo)!r}, "w").close()
signal.pause()
"""
    command = [program, "--user", "--pid", "--fork", "--kill-child", sys.executable, "-S", "-c", inner]
    outer = f"""
import subprocess
process = subprocess.Popen({command!r})
open({str(fifo)!r}).read()
process.kill()
process.wait()
"""
    assert measure(outer, tmp_path).cpu_seconds >= 0.5
