"""Where gradings run: processes of this machine behind the interface of concurrent.futures."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import signal
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import TYPE_CHECKING

from autograder.grading.task import Task

if TYPE_CHECKING:
    from autograder.grading.grade import Grader
    from autograder.reports.model import Report

_grader: Grader | None = None
_PR_SET_PDEATHSIG = 1


def local_executor(jobs: int) -> Executor:
    """`jobs` processes that share one import of torch."""
    context = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")
    if hasattr(context, "set_forkserver_preload"):
        context.set_forkserver_preload(["autograder.grading.grade"])
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_prepare)


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
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    import torch

    torch.set_num_threads(1)
