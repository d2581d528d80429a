"""What a worker can use up is bounded, under any layers."""

from __future__ import annotations

import pytest
from sandboxed import LAYER_SETS, LIMITS, StartWorker

from autograder.wire.codec import WireError
from autograder.wire.frame import ClosedError
from autograder.worker.limits import WorkerLimits

SOURCE = """
import ctypes, mmap, os, sys
import torch

def numbers(count):
    return torch.zeros(count, dtype=torch.uint8).numel()

def many_pieces():
    kept = []
    while True:
        kept.append(bytearray(2**20))

def shared_pages(size):
    return len(mmap.mmap(-1, size))

def spin():
    while True:
        pass

def open_files():
    return len([os.open("/dev/null", os.O_RDONLY) for _ in range(1000)])

def deep(depth=0):
    return deep(depth + 1)

def deep_in_c():
    sys.setrecursionlimit(10**9)
    deep()

def segfault():
    ctypes.string_at(0)

def leave(status):
    os._exit(status)

def abort():
    os.abort()

def stack_of_lists():
    nested = []
    for _ in range(10**6):
        nested = [nested]
    return nested
"""


@pytest.mark.parametrize("layers", LAYER_SETS)
def test_memory_ends_in_an_ordinary_error_and_the_worker_lives_on(start_worker: StartWorker, layers: str) -> None:
    worker = start_worker(layers, WorkerLimits(memory_bytes=2**28, cpu_seconds=20))
    worker.load(SOURCE)
    for attempt in (("numbers", 2**28 + 2**25), ("many_pieces",), ("shared_pages", 2**28 + 2**25)):
        with pytest.raises(WireError, match=r"memory|Memory|Errno 12"):
            worker.call(*attempt)
    assert worker.call("numbers", 2**27) == 2**27


def test_the_memory_limit_counts_from_what_torch_itself_takes(start_worker: StartWorker) -> None:
    worker = start_worker("none", WorkerLimits(memory_bytes=2**27, cpu_seconds=20))
    worker.load(SOURCE)
    assert worker.call("numbers", 2**27 - 2**25) > 0
    with pytest.raises(WireError, match="memory"):
        worker.call("numbers", 2**27 + 2**25)


def test_processor_time_ends_the_worker(start_worker: StartWorker) -> None:
    worker = start_worker("none", WorkerLimits(memory_bytes=2**28, cpu_seconds=1))
    worker.load(SOURCE)
    with pytest.raises(ClosedError):
        worker.call("spin")
    usage = worker.zygote.reap()
    assert usage.exit == "used up its processor (CPU) time"
    assert 0.5 < usage.cpu_seconds < 3


@pytest.mark.parametrize("layers", ["landlock+seccomp", "bubblewrap"])
def test_processor_time_so_far_is_told_of_a_worker_that_runs(start_worker: StartWorker, layers: str) -> None:
    worker = start_worker(layers)
    worker.load(SOURCE)
    before = worker.zygote.spent()
    assert before is not None
    worker.call("numbers", 2**24)
    after = worker.zygote.spent()
    assert after is not None
    assert after > before > 0
    usage = worker.zygote.reap()
    assert usage.cpu_seconds >= after - 0.01  # the two clocks tick apart
    assert worker.zygote.spent() is None


@pytest.mark.parametrize(
    ("attempt", "exit_in_words"),
    [
        (("segfault",), "was killed by signal 11 (segmentation fault)"),
        (("abort",), "was killed by signal 6 (aborted)"),
        (("leave", 0), "exited with status 0"),
        (("leave", 3), "exited with status 3"),
    ],
)
@pytest.mark.parametrize("layers", ["landlock+seccomp", "bubblewrap"])
def test_how_a_worker_ended_is_told_in_words(start_worker: StartWorker, layers: str, attempt: tuple[object, ...], exit_in_words: str) -> None:
    worker = start_worker(layers)
    worker.load(SOURCE)
    with pytest.raises(ClosedError):
        worker.call(*attempt)
    usage = worker.zygote.reap()
    assert usage.exit == exit_in_words
    assert usage.peak_bytes > 50 * 2**20


def test_open_files_are_bounded(start_worker: StartWorker) -> None:
    worker = start_worker("none")
    worker.load(SOURCE)
    with pytest.raises(WireError, match="Too many open files"):
        worker.call("open_files")


def test_deep_recursion_is_an_ordinary_error_or_ends_only_the_worker(start_worker: StartWorker) -> None:
    worker = start_worker("landlock+seccomp", WorkerLimits(memory_bytes=2**26, cpu_seconds=20))
    worker.load(SOURCE)
    with pytest.raises(WireError, match="recursion"):
        worker.call("deep")
    with pytest.raises((WireError, ClosedError)):
        worker.call("deep_in_c")
    worker.zygote.reap()
    after = start_worker("landlock+seccomp", LIMITS)
    after.load(SOURCE)
    assert after.call("numbers", 5) == 5


def test_an_answer_that_is_too_deep_is_refused(start_worker: StartWorker) -> None:
    worker = start_worker("landlock+seccomp")
    worker.load(SOURCE)
    with pytest.raises(WireError, match="nested too deeply"):
        worker.call("stack_of_lists")
