"""What a fake worker does, as bytes that a fuzzer can change: one step for each question."""

from __future__ import annotations

import enum
import json
import struct
from dataclasses import dataclass
from typing import Any

from autograder.wire.frame import PREFIX

_STEP = struct.Struct("<BBBI")  # flags, piece, delay, length
_MAX_STEPS = 64
STAMP = '"?"'  # an id that stands for the question's own


class Ending(enum.IntEnum):
    """What follows the last piece."""

    LISTENS = 0
    CLOSES = 1
    HALF_CLOSES = 2
    DEAF = 3  # reads nothing of the next question while it answers this one
    PASSES_FILES = 4


@dataclass(frozen=True)
class Step:
    """Raw bytes in answer to one question. `stamp`: with the question's own number in place of STAMP. `piece` 0: all at once."""

    data: bytes
    stamp: bool = True
    piece: int = 0
    delay: int = 0
    ending: Ending = Ending.LISTENS

    @property
    def delay_seconds(self) -> float:
        """Before each piece."""
        return self.delay / 8


def to_bytes(steps: list[Step]) -> bytes:
    return b"".join(_STEP.pack(step.stamp | step.ending << 1, step.piece & 255, step.delay & 255, len(step.data)) + step.data for step in steps)


def from_bytes(data: bytes) -> list[Step]:
    """Any bytes are a script."""
    steps = []
    position = 0
    while position + _STEP.size <= len(data) and len(steps) < _MAX_STEPS:
        flags, piece, delay, length = _STEP.unpack_from(data, position)
        position += _STEP.size
        steps.append(Step(data[position : position + length], bool(flags & 1), piece, delay, Ending((flags >> 1) % len(Ending))))
        position += length
    return steps


def split(data: bytes) -> tuple[Any, bytes] | None:
    """Header and payload of a frame, None when it is no whole one."""
    if len(data) < PREFIX.size:
        return None
    header_length, payload_length = PREFIX.unpack_from(data)
    begin = PREFIX.size + header_length
    if len(data) != begin + payload_length:
        return None
    try:
        return json.loads(data[PREFIX.size : begin]), data[begin:]
    except (ValueError, RecursionError):
        return None


def join(header: Any, payload: bytes) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    return PREFIX.pack(len(text), len(payload)) + text + payload


def number_of(question: bytes) -> int:
    parts = split(question)
    return int(parts[0]["id"]) if parts else 0


def stamped(data: bytes, number: int) -> bytes:
    """The frame with the question's number in its header."""
    if len(data) < PREFIX.size:
        return data
    header_length, payload_length = PREFIX.unpack_from(data)
    begin = PREFIX.size
    header = data[begin : begin + header_length].replace(b'"id":' + STAMP.encode(), b'"id":%d' % number, 1)
    if len(header) != header_length and len(data) >= begin + header_length:
        return PREFIX.pack(len(header), payload_length) + header + data[begin + header_length :]
    return data
