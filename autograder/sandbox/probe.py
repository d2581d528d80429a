"""Prove that a sandbox holds: a throw-away worker tries what no submission may do.

The grader holds out a file, a TCP port and a Unix socket, and sends a submission that reaches for them. What it gets hold of
is an open door; versions and flags prove nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from autograder.sandbox.socket_folder import socket_folder
from autograder.wire.codec import Decoder, Encoder, WireError, decode_tensors
from autograder.wire.frame import ClosedError, DeadlinePassedError, pack, read_frame, send_frame

_SECONDS = 30.0
_MAX_ANSWER_BYTES = 2**28

# Each door: what stays open, and what closes it.
DOORS = {
    "file system": "closed file system: install bubblewrap, or run Linux 5.13 or newer with Landlock enabled",
    "writing": "no writing to disk: install bubblewrap, or run Linux 5.13 or newer with Landlock enabled",
    "network": "no network: needs bubblewrap, or the system-call filter (Linux with seccomp on x86_64 or aarch64)",
    "processes": "no new processes: needs the system-call filter (Linux with seccomp on x86_64 or aarch64)",
    "other processes": "no reach into other processes: needs the system-call filter (Linux with seccomp on x86_64 or aarch64)",
    "privileges": "no privileges: needs Linux with no_new_privs",
    "limits": "limits that cannot be raised: needs setrlimit",
    "answer": "a worker that answers: the process ended before it could be checked",
}

_SOURCE = """
import ctypes, os, resource, socket

def reach(path, folder, ip, unix, abstract, grader):
    attempts = [
        ("file system", lambda: read(path)), ("file system", lambda: os.listdir(folder)),
        ("writing", lambda: os.close(os.open(folder + "/new", os.O_CREAT | os.O_WRONLY))),
        ("network", lambda: connect(socket.AF_INET, ip)), ("network", lambda: connect(socket.AF_UNIX, unix)),
        ("network", lambda: connect(socket.AF_UNIX, abstract)),
        ("processes", fork), ("privileges", privileged), ("limits", raise_limit),
    ]
    for pid in {grader, os.getppid()} - {os.getpid()}:
        attempts += [("other processes", lambda: trace(pid)), ("other processes", lambda: os.kill(pid, 0))]
    return [name for name, attempt in attempts if succeeds(attempt)]

def succeeds(attempt):
    try:
        return attempt() is not False
    except OSError:
        return False

def read(path):
    with open(path) as file:
        return file.read()

def connect(family, address):
    with socket.socket(family) as stream:
        stream.connect(address)

def fork():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

def trace(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.ptrace(0x4206, ctypes.c_long(pid), None, None) == 0  # PTRACE_SEIZE

def privileged():
    libc = ctypes.CDLL(None, use_errno=True)
    capabilities = (ctypes.c_uint32 * 6)()
    libc.capget((ctypes.c_uint32 * 2)(0x20080522, 0), capabilities)
    return any(capabilities) or libc.prctl(39, 0, 0, 0, 0) == 0  # PR_GET_NO_NEW_PRIVS; -1 when the filter refuses to tell

def raise_limit():
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != 0:
        return True
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
    except ValueError:
        return False
"""


def open_doors(stream: socket.socket) -> list[str]:
    """What the worker at `stream` could reach and must not, each with its cure."""
    name = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(dir=socket_folder()) as folder, contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix = [f"{folder}/socket", f"\0{name}" if sys.platform == "linux" else f"{folder}/second"]
        for address in unix:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        Path(folder, name).write_text(name)
        try:
            load(stream, "probe.py", _SOURCE)
            found = call(stream, "reach", f"{folder}/{name}", folder, tcp.getsockname(), *unix, os.getpid())
        except (ClosedError, DeadlinePassedError, WireError):
            found = ["answer"]
    return [cure for door, cure in DOORS.items() if door in found]


def load(stream: socket.socket, filename: str, source: str) -> None:
    """Hand the worker its submission. Raises WireError when it does not load."""
    ask(stream, {"op": "load", "filename": filename, "source": source, "forbidden_names": [], "forbidden_operators": []})


def call(stream: socket.socket, function: str, *arguments: Any) -> Any:
    """The worker's answer to function(*arguments), of plain values and tensors."""
    encoder = Encoder(_no_object)
    header = {"op": "call", "path": [function], "args": encoder.encode(arguments), "kwargs": {"d": []}, "grad": True, "tensors": encoder.specs}
    reply, payload = ask(stream, header, encoder.payload())
    value = reply.get("value")
    if not isinstance(value, dict) or "value" not in value:
        raise WireError("the worker's answer holds no value")
    return Decoder(decode_tensors(reply.get("tensors"), payload, dense=True), _no_object).decode(value["value"])


def ask(stream: socket.socket, header: dict[str, Any], payload: bytes = b"") -> tuple[dict[str, Any], bytearray]:
    """One question, one answer. Raises WireError when the worker reports an error."""
    deadline = time.monotonic() + _SECONDS
    number = secrets.randbits(32)
    send_frame(stream, pack({"id": number, **header}, payload), deadline)
    reply, data = read_frame(stream, deadline, _MAX_ANSWER_BYTES)
    if reply.get("id") != number:
        raise WireError("an answer belongs to no question")
    if "error" in reply:
        raise WireError(f"the worker answers with an error: {reply['error']}")
    return reply, data


def _no_object(_value: Any) -> Any:
    raise WireError("only plain values cross here")


def advice(missing: list[str]) -> str:
    listed = "".join(f"\n  - {entry}" for entry in missing)
    return (
        f"this machine cannot hold a submission as --sandbox require asks. Missing:{listed}\n"
        "`autograder doctor` checks the machine; --sandbox best grades with what there is and says so in every report."
    )
