"""Frames on a stream: two lengths, a JSON header, a payload of raw bytes.

`read_frame` checks both lengths against their bounds before it makes room for anything, and never waits past its deadline.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from typing import Any

from autograder.wire.codec import WireError

PREFIX = struct.Struct("<IQ")
MAX_HEADER_BYTES = 4 * 2**20
_CHUNK_BYTES = 16 * 2**10  # holds nearly every message as a whole

_to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class DeadlinePassedError(Exception):
    """The other side did not answer in time."""


class ClosedError(Exception):
    """The other side closed the stream."""


def pack(header: dict[str, Any], payload: bytes) -> bytes:
    text = _to_json(header).encode()
    if len(text) > MAX_HEADER_BYTES:
        raise WireError("a message's header is too large")
    return PREFIX.pack(len(text), len(payload)) + text + payload


def send_frame(stream: socket.socket, frame: bytes, deadline: float) -> None:
    """Send all of `frame`. `deadline` is in the seconds of `time.monotonic`."""
    view = memoryview(frame)
    while view:
        try:
            view = view[stream.send(view, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) :]
        except BlockingIOError:
            _wait(stream, deadline, writing=True)
        except (BrokenPipeError, ConnectionResetError):
            raise ClosedError from None


def read_frame(stream: socket.socket, deadline: float, max_payload_bytes: int) -> tuple[dict[str, Any], bytearray]:
    """Next header and payload; nothing may follow before the next question. Raises WireError, DeadlinePassedError or ClosedError."""
    received = bytearray()
    _read(stream, received, PREFIX.size, deadline)
    header_length, payload_length = PREFIX.unpack_from(received)
    if header_length > MAX_HEADER_BYTES or payload_length > max_payload_bytes:
        raise WireError(f"an answer is larger than the {max_payload_bytes:,} bytes allowed")
    begin = PREFIX.size + header_length
    _read(stream, received, begin + payload_length, deadline)
    if len(received) > begin + payload_length:
        raise WireError("an answer is longer than it says")
    return parse_header(received[PREFIX.size : begin]), received[begin:]


def parse_header(text: bytearray) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message's header is not JSON ({type(error).__name__})") from None
    if not isinstance(header, dict):
        raise WireError("a message's header is not an object")
    return header


def wait_for_answer(stream: socket.socket, deadline: float) -> None:
    """Return when something has come, or the other side has closed. Raises DeadlinePassedError."""
    while not _wait(stream, deadline, writing=False):
        pass


def _read(stream: socket.socket, received: bytearray, length: int, deadline: float) -> None:
    """Add to `received` until it holds `length` bytes. Room grows with what arrives: a length that is announced and never sent costs nothing."""
    while len(received) < length:
        _wait(stream, deadline, writing=False)
        try:
            chunk = stream.recv(max(_CHUNK_BYTES, min(length - len(received), 2**20)), socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue
        except ConnectionResetError:
            raise ClosedError from None
        if not chunk:
            raise ClosedError
        received += chunk


def _wait(stream: socket.socket, deadline: float, writing: bool) -> bool:
    """Whether the stream is ready; it may not be yet although the deadline has not passed."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise DeadlinePassedError
    poller = select.poll()
    poller.register(stream, select.POLLOUT if writing else select.POLLIN)
    return bool(poller.poll(min(remaining * 1000, 2**30) + 1))
