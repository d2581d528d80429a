"""A worker that does not keep to the rules of the conversation ends as itself: the next one is fresh and answers."""

from __future__ import annotations

import struct
import time

import pytest
from sandboxed import STRONG, StartWorker, Worker

from autograder.wire.codec import WireError
from autograder.wire.frame import MAX_HEADER_BYTES, ClosedError, DeadlinePassedError, pack, read_frame, send_frame

MAX_PAYLOAD = 2**20

SOURCE = """
import gc, os, signal, sys, threading, time

def stream():
    for number in range(3, 64):
        try:
            os.fstat(number)
            return number
        except OSError:
            pass

def say(text, repeated=1):
    data = bytes.fromhex(text)
    for _ in range(repeated):
        os.write(stream(), data)

def close_stream():
    os.close(stream())

def stop():
    signal.raise_signal(signal.SIGSTOP)

def ignore_signals_and_spin():
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while True:
        pass

def sleep():
    time.sleep(10**6)

def wait_for_itself():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

class Endless:
    def __del__(self):
        while True:
            pass

def never_dies():
    Endless()

def leave():
    sys.exit(0)

def number():
    return 7
"""


def ask_only(worker: Worker, function: str) -> None:
    header = {"id": 1, "op": "call", "path": [function], "args": {"u": []}, "kwargs": {"d": []}, "grad": False, "tensors": []}
    send_frame(worker.stream, pack(header, b""), time.monotonic() + 5)


def assert_next_worker_is_fresh(start_worker: StartWorker, layers: str) -> None:
    worker = start_worker(layers)
    worker.load(SOURCE)
    assert worker.call("number") == 7


@pytest.mark.parametrize("layers", STRONG)
@pytest.mark.parametrize("function", ["stop", "ignore_signals_and_spin", "sleep", "wait_for_itself", "never_dies"])
def test_a_worker_that_does_not_answer_is_ended(start_worker: StartWorker, layers: str, function: str) -> None:
    worker = start_worker(layers)
    worker.load(SOURCE)
    ask_only(worker, function)
    with pytest.raises(DeadlinePassedError):
        read_frame(worker.stream, time.monotonic() + 0.1, MAX_PAYLOAD)
    assert worker.zygote.reap().exit is None
    assert_next_worker_is_fresh(start_worker, layers)


@pytest.mark.parametrize(
    "written",
    [
        b"x" * 64,
        struct.pack("<IQ", 2, 0) + b"[]",
        struct.pack("<IQ", 2, 0) + b"\xff\xfe",
        struct.pack("<IQ", MAX_HEADER_BYTES + 1, 0),
        struct.pack("<IQ", 2, 2**62) + b"{}",
        pack({"id": 1, "value": {"value": 1}, "tensors": []}, b""),
    ],
    ids=["garbage", "not an object", "not text", "long header", "long payload", "an answer before the question"],
)
def test_what_is_not_an_answer_is_refused(start_worker: StartWorker, written: bytes) -> None:
    worker = start_worker("landlock+seccomp")
    with pytest.raises(WireError):
        worker.load(SOURCE + f"\nsay({written.hex()!r})\n")
    worker.zygote.reap()
    assert_next_worker_is_fresh(start_worker, "landlock+seccomp")


@pytest.mark.parametrize("ending", ["close_stream()", "os._exit(0)", f"say({struct.pack('<IQ', 2, 100).hex()!r}); os._exit(0)"])
def test_a_stream_that_ends_early_is_a_closed_stream(start_worker: StartWorker, ending: str) -> None:
    worker = start_worker("landlock+seccomp")
    with pytest.raises(ClosedError):
        worker.load(SOURCE + f"\n{ending}\n")
    worker.zygote.reap()
    assert_next_worker_is_fresh(start_worker, "landlock+seccomp")


def test_leaving_by_sys_exit_is_an_error_of_the_call(start_worker: StartWorker) -> None:
    worker = start_worker("landlock+seccomp")
    worker.load(SOURCE)
    with pytest.raises(WireError, match="SystemExit"):
        worker.call("leave")
    assert worker.call("number") == 7


def test_nothing_of_a_worker_reaches_the_next_one(start_worker: StartWorker) -> None:
    worker = start_worker("landlock+seccomp")
    worker.load("import builtins, torch\nbuiltins.left_behind = torch.left_behind = 1\ntorch.set_default_dtype(torch.float64)\n")
    worker.zygote.reap()
    after = start_worker("landlock+seccomp")
    after.load(
        "import builtins, torch\n"
        "def found():\n"
        "    return hasattr(builtins, 'left_behind') or hasattr(torch, 'left_behind') or torch.ones(1).dtype == torch.float64\n"
    )
    assert after.call("found") is False
