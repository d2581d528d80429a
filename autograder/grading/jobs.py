"""Where gradings run: processes of this machine behind the interface of concurrent.futures."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import TYPE_CHECKING

from autograder.grading.task import Task
from autograder.sandbox.socket_folder import socket_folder

if TYPE_CHECKING:
    from autograder.grading.grade import Grader
    from autograder.reports.model import Report

_grader: Grader | None = None


def local_executor(jobs: int) -> Executor:
    """`jobs` processes that share one import of torch."""
    tempfile.tempdir = socket_folder()  # multiprocessing names its sockets there
    context = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")
    if hasattr(context, "set_forkserver_preload"):
        context.set_forkserver_preload(["autograder.grading.grade"])
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_prepare)


def abandon(executor: Executor) -> None:
    """Shut it down without waiting for a grading that still runs, which may take a minute."""
    processes = dict(getattr(executor, "_processes", None) or {})
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes.values():
        process.kill()


def grade_task(task: Task) -> Report:
    """Grade with this process's own grader, which stays for the next task."""
    global _grader
    from autograder.grading.grade import Grader

    if _grader is None:
        _grader = Grader()
    return _grader.grade(task)


def _prepare() -> None:
    """A job ends with the run that started it, also when that is killed; Ctrl-C is the run's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    import torch

    torch.set_num_threads(1)


def _end_with_the_run() -> None:
    # Nothing else would: a job's parent is the process that forks jobs, which lives as long as one of them does.
    run = multiprocessing.parent_process()
    if run is not None:
        run.join()
        os._exit(1)
