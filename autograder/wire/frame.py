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


class DeadlinePassedError(Exception):
    """The other side did not answer in time."""


class ClosedError(Exception):
    """The other side closed the stream."""


def pack(header: dict[str, Any], payload: bytes) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
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
    """Next header and payload. Raises WireError, DeadlinePassedError or ClosedError."""
    header_length, payload_length = PREFIX.unpack(_read(stream, PREFIX.size, deadline))
    if header_length > MAX_HEADER_BYTES or payload_length > max_payload_bytes:
        raise WireError(f"an answer of {header_length + payload_length} bytes is larger than the {max_payload_bytes} allowed")
    text = _read(stream, header_length, deadline)
    payload = _read(stream, payload_length, deadline)
    return parse_header(text), payload


def parse_header(text: bytearray) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message's header is not JSON ({type(error).__name__})") from None
    if not isinstance(header, dict):
        raise WireError("a message's header is not an object")
    return header


def _read(stream: socket.socket, length: int, deadline: float) -> bytearray:
    # The room grows with what arrives: a length that is announced and never sent costs nothing.
    buffer = bytearray(min(length, 2**20))
    filled = 0
    while filled < length:
        if filled == len(buffer):
            buffer.extend(bytes(min(length - filled, len(buffer))))
        try:
            count = stream.recv_into(memoryview(buffer)[filled:], 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            _wait(stream, deadline, writing=False)
            continue
        except ConnectionResetError:
            raise ClosedError from None
        if count == 0:
            raise ClosedError
        filled += count
    return buffer


def _wait(stream: socket.socket, deadline: float, writing: bool) -> None:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise DeadlinePassedError
    poller = select.poll()
    poller.register(stream, select.POLLOUT if writing else select.POLLIN)
    poller.poll(min(remaining * 1000, 2**30) + 1)
