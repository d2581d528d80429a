"""Forks, spawns and threads without end, kills its parent and its siblings, and leaves a child behind."""

import multiprocessing
import os
import signal
import subprocess
import threading

for pid in (os.getppid(), -1, 0, 1):
    for number in (0, signal.SIGKILL, signal.SIGSTOP):
        try:
            if pid > 0 or not number:  # of all processes at once only whether it may
                os.kill(pid, number)
                raise SystemExit(pid)
        except OSError:
            pass
for start in (
    os.fork,
    lambda: subprocess.Popen(["/bin/sleep", "1000"]),
    lambda: os.posix_spawn("/bin/sleep", ["sleep", "1000"], {}),
    lambda: threading.Thread(target=lambda: None).start(),
    lambda: multiprocessing.get_context("fork").Process(target=lambda: None).start(),
    lambda: os.execv("/bin/true", ["true"]),
    os.setsid,
):
    try:
        start()
    except (OSError, RuntimeError):
        continue
    raise SystemExit("a process")
