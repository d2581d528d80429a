"""The forking process: imports torch once, closes itself in, then forks a fresh worker for each submission.

It talks to the grader over one SOCK_SEQPACKET socket, in JSON:

    grader                                   zygote
    {"op": "spawn", "limits": …} + socket    -
    {"op": "reap"}                           {"status", "cpu_seconds", "peak_bytes"} of the killed worker
    {"op": "clone"} + socket                 a second zygote answers on that socket

One worker lives at a time; `reap` kills it first, so that nothing of it outlives its submission.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import torch

from autograder.wire.frame import MAX_HEADER_BYTES, PREFIX, pack, parse_header
from autograder.worker import landlock, limits, linux, seccomp
from autograder.worker.service import Service, freeze
from autograder.worker.null_stream import NullStream

# What submissions usually import: paid for once, here.
_WARM_MODULES = ("collections", "dataclasses", "functools", "itertools", "jaxtyping", "math", "numpy", "typing", "torch.nn.functional")
_READ_CHUNK = 2**20


class Zygote:
    def __init__(self, control: socket.socket, layers: list[str], baseline_bytes: int, scratch: Path | None) -> None:
        self.control = control
        self.layers = layers
        self.baseline_bytes = baseline_bytes
        self.scratch = scratch
        self.child: int | None = None

    def run(self) -> None:
        """Serve until the grader goes away."""
        while True:
            message, stream = self._receive()
            if message is None:
                self._reap()
                return
            if message["op"] == "spawn" and stream is not None:
                self._reap()
                self._spawn(stream, limits.WorkerLimits.from_json(message["limits"]))
            elif message["op"] == "reap":
                self.control.send(json.dumps(self._reap()).encode())
            elif message["op"] == "clone" and stream is not None and os.fork() == 0:
                self.control.close()
                self.control = stream
                self.child = None
                stream = None
            if stream is not None:
                stream.close()

    def _receive(self) -> tuple[dict[str, Any] | None, socket.socket | None]:
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
                room.frombytes(content[: room.itemsize])
                stream = socket.socket(fileno=room[-1])
        return json.loads(data), stream

    def _spawn(self, stream: socket.socket, worker_limits: limits.WorkerLimits) -> None:
        child = os.fork()
        if child:
            self.child = child
            return
        status = 1
        try:
            self.control.close()
            become_worker(stream, worker_limits, self.baseline_bytes, self.layers)
            serve(stream.fileno())
            status = 0
        finally:
            os._exit(status)

    def _reap(self) -> dict[str, Any]:
        if self.child is None:
            return {}
        # A worker that ended by itself keeps its own status: killing it then does nothing.
        ended, status, usage = os.wait4(self.child, os.WNOHANG)
        killed = not ended
        if killed:
            with contextlib.suppress(ProcessLookupError):
                if "seccomp" not in self.layers:
                    os.killpg(self.child, signal.SIGKILL)
                os.kill(self.child, signal.SIGKILL)
            _, status, usage = os.wait4(self.child, 0)
        self.child = None
        self._collect_orphans()
        if self.scratch is not None:
            _empty(self.scratch)
        return {
            "ended": None if killed else status,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        }

    def _collect_orphans(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while "seccomp" not in self.layers and os.waitpid(-1, os.WNOHANG)[0]:
                pass


def become_worker(stream: socket.socket, worker_limits: limits.WorkerLimits, baseline_bytes: int, layers: list[str]) -> None:
    """Take away from this fresh fork all that the sandbox's layers take."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    sys.stdout = sys.__stdout__ = NullStream()  # type: ignore[misc,assignment]
    sys.stderr = sys.__stderr__ = NullStream()  # type: ignore[misc,assignment]
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)
    limits.apply(worker_limits, baseline_bytes)
    if "landlock" in layers:
        landlock.stay_apart()
    if "no-capabilities" in layers:
        linux.drop_capabilities()
    if "seccomp" in layers:
        seccomp.install()


def serve(descriptor: int) -> None:
    """Answer requests from the stream until it closes, with read(2) and write(2) alone."""
    service = Service()
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


def _empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def warm_up() -> None:
    """Import what submissions import and run each part of torch once, so that no worker pays for it."""
    for name in _WARM_MODULES:
        with contextlib.suppress(ImportError):
            __import__(name)
    torch.set_num_threads(1)
    with contextlib.suppress(RuntimeError):
        torch.set_num_interop_threads(1)
    layer = torch.nn.Linear(4, 4, dtype=torch.float64)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    scores = layer(x) @ x.transpose(-2, -1)
    weights = scores.masked_fill(torch.ones(3, 3, dtype=torch.bool).triu(1), float("-inf")).softmax(-1)
    torch.autograd.grad((weights @ x).sum(), [x, *layer.parameters()])
    layer.load_state_dict({name: value.clone() for name, value in layer.state_dict().items()})


def main(arguments: list[str]) -> None:
    """Entry: control socket's descriptor, then the sandbox's description as JSON."""
    control = socket.socket(fileno=int(arguments[0]))
    description = json.loads(arguments[1])
    warm_up()
    baseline_bytes = limits.mapped_bytes()
    layers = list(description["outer_layers"])
    if description["close_in"]:
        layers += close_in(description)
    scratch = Path(description["scratch"]) if description["scratch"] else None
    freeze()
    control.send(json.dumps({"ready": True, "layers": layers, "torch": torch.__version__}).encode())
    zygote = Zygote(control, layers, baseline_bytes, scratch)
    zygote.run()
    os._exit(0)


def close_in(description: dict[str, Any]) -> list[str]:
    """Apply what must hold for this process too, and name the layers that its workers will have."""
    layers = ["rlimits"]
    if sys.platform != "linux":
        return layers
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    layers += ["no-new-privileges", "no-capabilities"]
    if description["landlock"] and landlock.abi() > 0:
        landlock.close_file_system(
            readable=[Path(path) for path in description["readable"]],
            writable=[Path(path) for path in description["writable"]],
            devices=[Path(path) for path in description["devices"]],
        )
        layers.append("landlock")
    if description["seccomp"] and seccomp.supported():
        layers.append("seccomp")
    return layers
