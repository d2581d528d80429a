"""Frames: nothing but the three errors of the wire, no room made for what is only announced, no wait past a deadline."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.wire.codec import WireError
from autograder.wire.frame import MAX_HEADER_BYTES, PREFIX, ClosedError, DeadlinePassedError, pack, read_frame, send_frame

MAX_PAYLOAD = 4096


@contextlib.contextmanager
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def soon() -> float:
    return time.monotonic() + 5


headers = st.dictionaries(st.text(max_size=10), st.none() | st.booleans() | st.integers() | st.text(max_size=20), max_size=5)


@given(header=headers, payload=st.binary(max_size=MAX_PAYLOAD))
def test_a_frame_comes_back_as_it_was_sent(header: dict[str, object], payload: bytes) -> None:
    with line() as (ours, theirs):
        send_frame(theirs, pack(header, payload), soon())
        assert read_frame(ours, soon(), MAX_PAYLOAD) == (header, bytearray(payload))


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_one_of_the_wires_errors(data: bytes) -> None:
    with line() as (ours, theirs):
        theirs.sendall(data)
        theirs.close()
        with contextlib.suppress(WireError, ClosedError):
            read_frame(ours, soon(), MAX_PAYLOAD)


@given(text=st.binary(max_size=60))
def test_a_header_of_any_bytes_is_an_object_or_a_wire_error(text: bytes) -> None:
    with line() as (ours, theirs):
        theirs.sendall(PREFIX.pack(len(text), 0) + text)
        with contextlib.suppress(WireError):
            assert isinstance(read_frame(ours, soon(), MAX_PAYLOAD)[0], dict)


@pytest.mark.parametrize("text", [b"[" * 100_000, b"1", b"[]", b"nul", b'{"a": 1e999999}x', b"9" * 5000, b"{]"])
def test_headers_made_to_hurt_a_parser_are_wire_errors(text: bytes) -> None:
    with line() as (ours, theirs):
        theirs.sendall(PREFIX.pack(len(text), 0) + text)
        with pytest.raises(WireError):
            read_frame(ours, soon(), MAX_PAYLOAD)


@pytest.mark.parametrize(("header", "payload"), [(MAX_HEADER_BYTES + 1, 0), (2, MAX_PAYLOAD + 1), (2**32 - 1, 2**64 - 1)])
def test_a_length_beyond_the_bound_is_refused_before_anything_is_read(header: int, payload: int) -> None:
    with line() as (ours, theirs):
        theirs.sendall(PREFIX.pack(header, payload))
        with pytest.raises(WireError, match="larger than"):
            read_frame(ours, soon(), MAX_PAYLOAD)


def test_a_length_that_is_announced_and_never_sent_costs_no_memory() -> None:
    with line() as (ours, theirs):
        theirs.sendall(PREFIX.pack(2, 2**40) + b"{}")
        theirs.close()
        tracemalloc.start()
        try:
            with pytest.raises(ClosedError):
                read_frame(ours, soon(), 2**41)
            assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("sent", [b"", b"\0" * 5, PREFIX.pack(10, 0) + b"{}"])
def test_silence_ends_at_the_deadline(sent: bytes) -> None:
    with line() as (ours, theirs):
        theirs.sendall(sent)
        with pytest.raises(DeadlinePassedError):
            read_frame(ours, time.monotonic() + 0.02, MAX_PAYLOAD)


def test_a_reader_that_does_not_read_ends_a_sender_at_the_deadline() -> None:
    with line() as (_ours, theirs), pytest.raises(DeadlinePassedError):
        send_frame(theirs, bytes(2**24), time.monotonic() + 0.02)


def test_a_closed_stream_is_told_from_a_slow_one() -> None:
    with line() as (ours, theirs):
        theirs.close()
        with pytest.raises(ClosedError):
            read_frame(ours, soon(), MAX_PAYLOAD)
        with pytest.raises(ClosedError):
            send_frame(ours, b"x" * 10, soon())


def test_a_header_that_is_too_large_to_send_is_refused() -> None:
    with pytest.raises(WireError, match="too large"):
        pack({"text": "x" * MAX_HEADER_BYTES}, b"")


@settings(max_examples=25)
@given(pieces=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_a_frame_may_arrive_in_any_pieces(pieces: list[int]) -> None:
    frame = pack({"a": 1}, os.urandom(200))
    with line() as (ours, theirs):
        start = 0
        for piece in [*pieces, len(frame)]:
            theirs.sendall(frame[start : start + piece])
            start += piece
        assert read_frame(ours, soon(), MAX_PAYLOAD)[1] == frame[-200:]


def test_nothing_may_follow_an_answer() -> None:
    frame = pack({"id": 1}, b"")
    with line() as (ours, theirs):
        theirs.sendall(frame + frame)
        with pytest.raises(WireError, match="longer than it says"):
            read_frame(ours, soon(), MAX_PAYLOAD)
