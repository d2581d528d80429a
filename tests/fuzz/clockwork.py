"""A fake worker at the far end of a real socket pair, in simulated time: its silence costs nothing, and every wait is accounted for.

The clock stands still but where the grader polls. Then the worker's next act is due, or the time that the poll may take is over.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterator
from unittest.mock import patch

from autograder.grading import worker_link
from autograder.sandbox.zygote import WorkerUsage
from autograder.wire import frame
from autograder.wire.frame import PREFIX
from autograder.worker.limits import WorkerLimits
from tests.fuzz.scripts import Ending, Step, number_of, stamped

POLLS = 5_000  # of one conversation: a grader that polls more often than a worker can act waits in a loop
SLACK_SECONDS = 0.01

Answerer = Callable[[bytes], bytes]


class ViolationError(AssertionError):
    """What no input may bring about."""


class Clock:
    """Stands in for the modules `time` and `select` of those that wait."""

    POLLIN, POLLOUT = select.POLLIN, select.POLLOUT

    def __init__(self) -> None:
        self.now = 1_000.0
        self.polls = 0
        self.worker: Worker | None = None

    def monotonic(self) -> float:
        return self.now

    def poll(self) -> _Poll:
        return _Poll(self)


class _Poll:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.real = select.poll()

    def register(self, stream: socket.socket, events: int) -> None:
        self.real.register(stream, events)

    def poll(self, milliseconds: float | None = None) -> list[tuple[int, int]]:
        if milliseconds is None or milliseconds < 0:
            raise ViolationError("the grader waits without an end")
        self.clock.polls += 1
        if self.clock.polls > POLLS:
            raise ViolationError("the grader polls again and again")
        until = self.clock.now + milliseconds / 1000
        while not (ready := self.real.poll(0)):
            if self.clock.worker is None or not self.clock.worker.act(until):
                self.clock.now = until
                return []
        return ready


class Worker:
    """The far end of one line: takes a question, then does what its next step says."""

    def __init__(self, stream: socket.socket, clock: Clock, next_step: Callable[[bytes], Step | None]) -> None:
        self.stream = stream
        self.clock = clock
        self.next_step = next_step
        self.question = bytearray()
        self.pieces: list[bytes] = []
        self.step: Step | None = None
        self.due = clock.now
        self.open = True

    def act(self, until: float) -> bool:
        """One act, due by `until`; False when there is none."""
        if not self.open:
            return False
        if self._listen():
            return True
        if self.step is not None and self.due <= until:
            self.clock.now = max(self.clock.now, self.due)
            self._deliver(self.step)
            return True
        return False

    def _listen(self) -> bool:
        """Take what lies there of a question; True when something was taken, or when a whole one brought on the next step."""
        taken = b""
        if not (self.step is not None and self.step.ending is Ending.DEAF):
            with contextlib.suppress(BlockingIOError):
                taken = self.stream.recv(2**20, socket.MSG_DONTWAIT)
        self.question += taken
        if self.step is None and len(self.question) >= PREFIX.size:
            length = PREFIX.size + sum(PREFIX.unpack_from(self.question))
            if len(self.question) >= length:
                question = bytes(self.question[:length])
                del self.question[:length]
                step = self.next_step(question)
                if step is None:
                    self._close()
                    return True
                self.step = step
                data = stamped(step.data, number_of(question)) if step.stamp else step.data
                self.pieces = [data[start : start + step.piece] for start in range(0, len(data), step.piece)][:200] if step.piece else [data]
                self.due = self.clock.now + step.delay_seconds
                return True
        return bool(taken)

    def _deliver(self, step: Step) -> None:
        if self.pieces:
            piece = self.pieces.pop(0)
            try:
                sent = self._send(piece, step.ending is Ending.PASSES_FILES)
            except BlockingIOError:
                sent = 0
            except (BrokenPipeError, ConnectionResetError):
                self._close()
                return
            if sent < len(piece):
                self.pieces.insert(0, piece[sent:])
            self.due = self.clock.now + (step.delay_seconds if sent else 0.05)
            return
        self.step = None
        if step.ending is Ending.CLOSES:
            self._close()
        elif step.ending is Ending.HALF_CLOSES:
            with contextlib.suppress(OSError):
                self.stream.shutdown(socket.SHUT_WR)

    def _send(self, piece: bytes, with_files: bool) -> int:
        if not with_files or not piece:
            return self.stream.send(piece, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        return socket.send_fds(self.stream, [piece], [self.stream.fileno(), 0], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def _close(self) -> None:
        self.open = False
        self.stream.close()


class FakeZygote:
    """Gives out lines to fake workers, all of which go on with one list of steps, or ask `answerer` for an honest answer."""

    def __init__(self, clock: Clock, steps: list[Step], answerer: Answerer | None = None) -> None:
        self.clock = clock
        self.steps = iter(steps)
        self.answerer = answerer
        self.share: float | None = None  # of the processor, that a worker gets from its start on; None where the system does not tell

    def spawn(self, _limits: WorkerLimits) -> socket.socket:
        self.reap()
        self.began = self.clock.now
        ours, theirs = socket.socketpair()
        self.clock.worker = Worker(theirs, self.clock, self._next)
        return ours

    def reap(self) -> WorkerUsage:
        if self.clock.worker is not None:
            self.clock.worker._close()
            self.clock.worker = None
        return WorkerUsage(None, 0.0, 0)

    def spent(self) -> float | None:
        return None if self.share is None else self.share * (self.clock.now - self.began)

    def _next(self, question: bytes) -> Step | None:
        if self.answerer is not None:
            return Step(self.answerer(question))
        return next(self.steps, None)


@contextlib.contextmanager
def simulated() -> Iterator[Clock]:
    """Time of the wire and of the link is the clock's; a wait that passes its deadline, and a descriptor left open, are violations."""
    clock = Clock()
    read_frame, send_frame, wait_for_answer = worker_link.read_frame, worker_link.send_frame, worker_link.wait_for_answer

    def on_time(deadline: float) -> None:
        if clock.now > deadline + SLACK_SECONDS:
            raise ViolationError(f"the grader waited {clock.now - deadline:.3f} s past its deadline")

    def read(stream: socket.socket, deadline: float, max_payload_bytes: int) -> object:
        try:
            return read_frame(stream, deadline, max_payload_bytes)
        finally:
            on_time(deadline)

    def wait(stream: socket.socket, deadline: float) -> None:
        try:
            wait_for_answer(stream, deadline)
        finally:
            on_time(deadline)

    def send(stream: socket.socket, data: bytes, deadline: float) -> None:
        try:
            send_frame(stream, data, deadline)
        finally:
            on_time(deadline)

    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    with (
        patch.object(frame, "time", clock),
        patch.object(frame, "select", clock),
        patch.object(worker_link, "time", clock),
        patch.object(worker_link, "read_frame", read),
        patch.object(worker_link, "send_frame", send),
        patch.object(worker_link, "wait_for_answer", wait),
    ):
        try:
            yield clock
        finally:
            if clock.worker is not None:
                clock.worker._close()
    if before and len(os.listdir("/proc/self/fd")) > len(before):
        raise ViolationError("the grader was left with a file descriptor")
