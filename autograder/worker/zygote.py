"""The forking process: imports torch once, closes itself in, then forks a fresh worker for each submission.

It talks to the grader over one stream socket, a line of JSON each way for each operation:

    grader                                   zygote
    {"op": "spawn", "limits": …} + socket    {}: a worker answers on that socket
    {"op": "reap"}                           {"ended", "out_of_time", "cpu_seconds", "peak_bytes"} of the worker; "ended"
                                             is None when it still ran and was killed
    {"op": "spent"}                          {"cpu_seconds"} of the running worker so far; none where the system does not tell
    {"op": "clone", "forbidden_…"} + socket  {}: a second zygote says {} on that socket and serves there, with these forbidden

An operation that fails is answered by {"error": …}. One worker lives at a time; `reap` kills it first, so that nothing
of it outlives its submission.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import importlib.metadata
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import torch

from autograder.wire.codec import Encoder
from autograder.wire.frame import MAX_HEADER_BYTES, PREFIX, pack, parse_header
from autograder.worker import huge_pages, landlock, limits, linux, seccomp
from autograder.worker.forbidden import Ban
from autograder.worker.null_stream import NullStream
from autograder.worker.service import Service, freeze

# What submissions usually import: paid for once, here.
# torch._dynamo: half a second, imported by torch itself when an optimizer is made.
_WARM_MODULES = ("collections", "dataclasses", "functools", "itertools", "jaxtyping", "math", "numpy", "typing", "torch.optim", "torch._dynamo")
_WARM_SOURCE = """
import torch
from torch import nn

def attend(x):
    scores = x @ x.transpose(-2, -1)
    weights = scores.masked_fill(torch.ones(3, 3, dtype=torch.bool).triu(1), float("-inf")).softmax(-1)
    return weights @ x, weights

def build():
    return nn.Linear(4, 4, dtype=torch.float64)
"""
_READ_CHUNK = 2**20
_CLOCK_OF_PROCESS = 2  # CPUCLOCK_SCHED


class Zygote:
    def __init__(self, control: socket.socket, layers: list[str], baseline_bytes: int) -> None:
        self.control = control
        self.layers = layers
        self.baseline_bytes = baseline_bytes
        self.child: int | None = None
        self.cpu_limit = 0
        self.ban = Ban()
        # Made once, so that a fork only has to put them in force.
        self.filter = seccomp.Filter() if "seccomp" in layers else None
        self.apartness = landlock.apartness() if "landlock" in layers else None

    def run(self) -> None:
        """Serve until the grader goes away."""
        while True:
            message, stream = self._receive()
            if message is None:
                self._reap()
                return
            try:
                reply = self._perform(message, stream)
            except OSError as error:
                reply = {"error": f"{message['op']} failed: {error}"}
            if stream is not None:
                stream.close()
            self.control.sendall(json.dumps(reply).encode() + b"\n")

    def _perform(self, message: dict[str, Any], stream: socket.socket | None) -> dict[str, Any]:
        if message["op"] == "reap":
            return self._reap()
        if message["op"] == "spent":
            return _spent(self.child)
        if stream is None:
            return {"error": f"{message['op']} came without a socket"}
        if message["op"] == "spawn":
            self._reap()
            self._spawn(stream, limits.WorkerLimits.from_json(message["limits"]))
        elif message["op"] == "clone" and os.fork() == 0:
            self.control.close()
            self.control = stream.dup()
            self.child = None
            self.ban.forbid(message["forbidden_names"], message["forbidden_operators"])
            freeze()
        return {}

    def _receive(self) -> tuple[dict[str, Any] | None, socket.socket | None]:
        # The grader waits for each answer before it asks again, so that one read holds one whole line.
        room = array.array("i", [0])
        try:
            data, ancillary, _, _ = self.control.recvmsg(65_536, socket.CMSG_LEN(room.itemsize))
        except ConnectionResetError:
            return None, None
        if not data:
            return None, None
        stream = None
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                room = array.array("i")
                room.frombytes(content[: room.itemsize])
                stream = socket.socket(fileno=room[0])
        return json.loads(data), stream

    def _spawn(self, stream: socket.socket, worker_limits: limits.WorkerLimits) -> None:
        prepared = limits.prepare(worker_limits, self.baseline_bytes)
        child = _fork()
        if child:
            self.child, self.cpu_limit = child, worker_limits.cpu_seconds
            return
        status = 1
        try:
            self.control.close()
            self._become_worker(prepared)
            serve(stream.fileno(), Service(self.ban))
            status = 0
        finally:
            os._exit(status)

    def _become_worker(self, prepared: list[tuple[int, int]]) -> None:
        """Take away from this fresh fork all that the sandbox's layers take and the zygote still needs."""
        os.setsid()
        limits.apply(prepared)
        if self.apartness is not None:
            landlock.restrict(self.apartness)
            os.close(self.apartness)
        if sys.platform == "linux":
            linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.filter is not None:
            self.filter.install()

    def _reap(self) -> dict[str, Any]:
        if self.child is None:
            return {}
        # A worker that ended by itself, or is about to, keeps its own status: killing it then does nothing.
        ended, status, usage = os.wait4(self.child, os.WNOHANG)
        if not ended:
            self._kill(self.child)
            _, status, usage = os.wait4(self.child, 0)
        self._kill_descendants(self.child)
        self.child = None
        by_signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        killed = by_signal == signal.SIGKILL
        cpu_seconds = usage.ru_utime + usage.ru_stime
        out_of_time = by_signal == signal.SIGXCPU or (killed and cpu_seconds >= self.cpu_limit)
        return {
            "ended": status if ended or out_of_time or not killed else None,
            "out_of_time": out_of_time,
            "cpu_seconds": cpu_seconds,
            "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        }

    def _kill(self, child: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    def _kill_descendants(self, child: int) -> None:
        """Where nothing kept the worker from starting processes, end those of its session; collect what has ended, clones too."""
        if "seccomp" not in self.layers:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _spent(child: int | None) -> dict[str, Any]:
    """Processor time of a process that still runs, by its own clock: Linux makes the number of that clock from the process's."""
    if child is None or sys.platform != "linux":
        return {}
    try:
        return {"cpu_seconds": time.clock_gettime((~child << 3) | _CLOCK_OF_PROCESS)}
    except OSError:  # it has ended
        return {}


def _fork() -> int:
    """fork(2), without the locks and random numbers that os.fork() renews: they cost as much as the fork, and there is one thread."""
    if sys.platform != "linux":
        return os.fork()
    child = int(ctypes.PyDLL(None).fork())
    if child < 0:
        raise OSError("fork failed: no memory or no free process number")
    return child


def serve(descriptor: int, service: Service) -> None:
    """Answer requests from the stream until it closes, with read(2) and write(2) alone."""
    while True:
        prefix = _read(descriptor, PREFIX.size)
        if prefix is None:
            return
        header_length, payload_length = PREFIX.unpack(prefix)
        if header_length > MAX_HEADER_BYTES:
            return
        text, payload = _read(descriptor, header_length), _read(descriptor, payload_length)
        if text is None or payload is None:
            return
        reply, data = service.answer(parse_header(text), payload)
        frame = memoryview(pack(reply, data))
        while frame:
            frame = frame[os.write(descriptor, frame) :]


def _read(descriptor: int, length: int) -> bytearray | None:
    buffer = bytearray(length)
    view = memoryview(buffer)
    filled = 0
    while filled < length:
        count = os.readv(descriptor, [view[filled : filled + _READ_CHUNK]])
        if count == 0:
            return None
        filled += count
    return buffer


def warm_up() -> None:
    """Import what submissions import and answer a few requests, so that no worker pays for what is made on first use."""
    for name in _WARM_MODULES:
        with contextlib.suppress(ImportError):
            __import__(name)
    # Fills the caches of folder listings, which cannot be read again once the file system is closed.
    importlib.metadata.version("torch")
    torch.set_num_threads(1)
    with contextlib.suppress(RuntimeError):
        torch.set_num_interop_threads(1)
    service = Service(Ban())
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    encoder = Encoder(lambda _value: {})
    call = {"op": "call", "args": encoder.encode((x,)), "kwargs": {"d": []}, "grad": True, "tensors": encoder.specs}
    requests: tuple[dict[str, Any], ...] = (
        {"begin": 0, "op": "load", "filename": "warm_up.py", "source": _WARM_SOURCE, "forbidden_names": [], "forbidden_operators": []},
        {**call, "path": ["attend"], "measure": True},
        {**call, "path": ["build"], "args": {"u": []}, "tensors": []},
        {**call, "path": ["load_state_dict"], "handle": 1, "args": {"u": [{"d": []}]}, "kwargs": {"d": [["strict", False]]}, "tensors": []},
        {**call, "path": [], "handle": 1},
        {"op": "backward", "graph": 4, "cotangents": {"l": [{"t": 0}]}, "wanted": [0, 1], "tensors": encoder.specs},
    )
    for number, request in enumerate(requests):
        service.answer({"id": number, **request}, bytearray(encoder.payload()))
    del sys.modules["warm_up"]


def main(descriptor: int, description: dict[str, Any], heap_start: int) -> None:
    """Serve on the control socket until it closes, inside what `description` asks for."""
    control = socket.socket(fileno=descriptor)
    warm_up()
    layers = close_in(description)
    silence()
    huge_pages.gather(heap_start)
    freeze()
    baseline_bytes = limits.mapped_bytes()
    control.sendall(json.dumps({"layers": layers, "landlock_abi": landlock.abi(), "torch": torch.__version__}).encode() + b"\n")
    Zygote(control, layers, baseline_bytes).run()
    os._exit(0)


def silence() -> None:
    """Standard streams to nowhere: what a submission prints must not carry a hidden input out, nor fill a disk."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    sys.stdout = sys.__stdout__ = NullStream()  # type: ignore[misc,assignment]
    sys.stderr = sys.__stderr__ = NullStream()  # type: ignore[misc,assignment]


def close_in(description: dict[str, Any]) -> list[str]:
    """Apply what must hold for this process too, and name the layers that its workers will have."""
    layers = ["process", "rlimits"]
    if description["bubblewrap"]:
        layers.append("bubblewrap")
    if sys.platform != "linux" or not description["privileges"]:
        return layers
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    linux.drop_capabilities()
    layers += ["no-new-privileges", "no-capabilities"]
    if description["landlock"] and landlock.abi() > 0:
        landlock.close_file_system(
            readable=[Path(path) for path in description["readable"]],
            devices=[Path(path) for path in description["devices"]],
        )
        layers.append("landlock")
    if description["seccomp"] and seccomp.supported():
        layers.append("seccomp")
    return layers
