"""Changes to a script that keep its form: values inside decoded headers, lengths, bytes of tensors, order and pace of the steps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from autograder.wire.frame import PREFIX
from tests.fuzz.scripts import STAMP, Ending, Step, join, split

_SCALARS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 16, 255, 2**15, 2**31 - 1, 2**31, 2**40 - 1, 2**40, 2**63 - 1, 2**63, 2**64, 10**60, -(2**63)),
    *(0.0, 1.0, -0.0, 1.5, 1e308, float("inf"), float("nan"), True, False, None),
    *("", "?", "t", "u", "l", "d", "y", "h", "weight", "\ud800", "x" * 300),
    *("float32", "float64", "bool", "bfloat16", "int64", "complex64", "float128"),
    *([], {}, [[]], {"t": 0}, {"u": []}, {"l": []}, {"d": []}, {"d": [["a", 1]]}, {"y": "float32"}, {"h": 1}),
    *([0, 2**31 - 1, 2**31 - 1, 2**31 - 1], [2**39, 2**39, 0], [1] * 17, {"callable": True}, {"value": 1}),
    *({"h": 1, "class": "Thing", "parameters": []}, {"types": ["ValueError"], "text": "", "line": 1}),
)
_KEYS = (
    *("id", "value", "tensors", "error", "changed", "cost", "forbidden", "graph", "differentiable"),
    *("dtype", "shape", "strides", "offset", "length", "grad"),
)
_MAX_STEPS = 40


def mutated(steps: list[Step], random: Random) -> list[Step]:
    """A script like this one, with one to four changes."""
    steps = list(steps) or [Step(join({"id": STAMP, "value": None, "tensors": []}, b""))]
    for _ in range(random.randint(1, 4)):
        place = random.randrange(max(1, len(steps)))
        change = random.choice(_CHANGES)
        steps[place : place + 1] = change(steps[place], random) if steps else [Step(b"")]
    if steps and random.random() < 0.1:
        one, other = random.randrange(len(steps)), random.randrange(len(steps))
        steps[one], steps[other] = steps[other], steps[one]
    return steps[:_MAX_STEPS] or [Step(b"")]


def _header(step: Step, random: Random) -> list[Step]:
    parts = split(step.data)
    if parts is None:
        return _bytes(step, random)
    header, payload = copy.deepcopy(parts[0]), parts[1]
    try:
        return [replace(step, data=join(_tree(header, random), payload))]
    except (RecursionError, ValueError):
        return [step]


def _tree(root: Any, random: Random) -> Any:
    """`root` with one node changed."""
    box = [root]
    places: list[tuple[Any, Any]] = []
    _walk(box, places, 0)
    holder, key = random.choice(places)
    old = holder[key]
    kind = random.randrange(8)
    if kind <= 2:
        holder[key] = copy.deepcopy(random.choice(_SCALARS))
    elif kind == 3 and type(old) is int:
        holder[key] = old + random.choice((-1, 1, 2, 8, -8)) if random.random() < 0.7 else old * random.choice((-1, 2, 1000, 2**32))
    elif kind == 4:
        source, other = random.choice(places)
        holder[key] = copy.deepcopy(source[other])
    elif kind == 5:
        wrap = random.choice((lambda x: [x], lambda x: {"l": [x]}, lambda x: {"u": [x]}, lambda x: {"d": [["k", x]]}, lambda x: [x, x]))
        for _ in range(random.choice((1, 1, 2, 14, 40)) if wrap(0) != [0, 0] else 2):
            holder[key] = wrap(holder[key])
    elif kind == 6 and isinstance(old, list):
        if old and random.random() < 0.5:
            old.pop(random.randrange(len(old)))
        else:
            times = random.choice((1, 1, 2, 20, 300))
            holder[key] = old * (times + 1) if old and len(old) * times < 2_000 else [*old, copy.deepcopy(random.choice(_SCALARS))]
    elif isinstance(old, dict):
        names = list(old)
        if names and random.random() < 0.5:
            value = old.pop(random.choice(names))
            if random.random() < 0.5:
                old[random.choice(_KEYS)] = value
        else:
            old[random.choice(_KEYS)] = copy.deepcopy(random.choice(_SCALARS))
    return box[0]


def _walk(node: Any, places: list[tuple[Any, Any]], depth: int) -> None:
    if depth > 60 or len(places) > 3_000:
        return
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        places.append((node, key))
        if isinstance(node[key], dict | list):
            _walk(node[key], places, depth + 1)


def _bytes(step: Step, random: Random) -> list[Step]:
    return [replace(step, data=without_form(step.data, random))]


def without_form(text: bytes, random: Random) -> bytes:
    """Bytes changed, left out and put in anywhere."""
    data = bytearray(text)
    for _ in range(random.randint(1, 4)):
        place = random.randint(0, len(data))
        kind = random.randrange(5)
        if kind == 0 and data:
            data[place - 1] = random.randrange(256)
        elif kind == 1:
            del data[place : place + random.choice((1, 4, 12, 60))]
        elif kind == 2:
            data[place:place] = bytes(random.randrange(256) for _ in range(random.randint(1, 8)))
        elif kind == 3:
            data[place:place] = random.choice((b"[", b"{", b'"', b"\\ud800", b"9")) * random.choice((1, 5, 1_500))
        elif data:
            data[place - 1] ^= 1 << random.randrange(8)
    return bytes(data)


def _lengths(step: Step, random: Random) -> list[Step]:
    """A prefix that lies about what follows."""
    if len(step.data) < PREFIX.size:
        return _bytes(step, random)
    header, payload = PREFIX.unpack_from(step.data)
    lies = (0, 1, 2**16, 2**22, 2**22 + 1, 2**32 - 1)
    header = random.choice((header, max(0, header + random.choice((-1, 1, 9))), *lies)) & 0xFFFFFFFF
    payload = random.choice((payload, max(0, payload + random.choice((-1, 1, 8))), *lies, 2**63, 2**64 - 1)) & 0xFFFFFFFFFFFFFFFF
    return [replace(step, data=PREFIX.pack(header, payload) + step.data[PREFIX.size :])]


def _shape(step: Step, random: Random) -> list[Step]:
    """Another shape of a tensor, its strides and length in step with it or not; or of a parameter, or of whatever else is a list of numbers."""
    parts = split(step.data)
    if parts is None or not isinstance(parts[0], dict):
        return _bytes(step, random)
    shape = [random.choice((0, 1, 2, 3, 2**20, 2**31 - 1, 2**39)) for _ in range(random.choice((0, 1, 2, 3, 4, 17)))]
    places: list[tuple[Any, Any]] = []
    _walk(parts[0], places, 0)
    lists = [(holder, key) for holder, key in places if isinstance(holder[key], list) and holder[key] and type(holder[key][0]) is int]
    if not lists:
        return _header(step, random)
    holder, key = random.choice(lists)
    holder[key] = shape
    if isinstance(holder, dict) and "strides" in holder:
        strides, span = [], 1
        for size in reversed(shape):
            strides.insert(0, span)
            span *= max(size, 1)
        holder |= {"shape": shape, "strides": random.choice((strides, [1] * len(shape), [0] * len(shape)))}
        if random.random() < 0.7:
            holder["length"] = 0 if 0 in shape else span * random.choice((1, 2, 4, 8))
    return [replace(step, data=join(parts[0], parts[1]))]


def _payload(step: Step, random: Random) -> list[Step]:
    parts = split(step.data)
    if parts is None:
        return _bytes(step, random)
    header, payload = parts[0], bytearray(parts[1])
    kind = random.randrange(4)
    if kind == 0 and payload:
        start = random.randrange(len(payload))
        filler = random.choice((b"\xff", b"\0", b"\x7f", b"\x80"))
        payload[start : start + 16] = filler * len(payload[start : start + 16])
    elif kind == 1:
        del payload[random.randint(0, len(payload)) :]
    elif kind == 2:
        payload += bytes(random.choice((1, 8, 64, 3_000)))
    elif payload:
        payload[random.randrange(len(payload))] = random.randrange(256)
    return [replace(step, data=join(header, bytes(payload)))]


def _pace(step: Step, random: Random) -> list[Step]:
    return [
        replace(
            step,
            piece=random.choice((0, 0, 1, 2, 7, 16, 100)),
            delay=random.choice((0, 0, 1, 8, 79, 80, 81, 255)),
            ending=random.choice(list(Ending)),
        )
    ]


def _order(step: Step, random: Random) -> list[Step]:
    """Twice, not at all, two answers at once, half a one, another's number."""
    kind = random.randrange(6)
    if kind == 0:
        return [step, step]
    if kind == 1:
        return []
    if kind == 2:
        return [replace(step, data=step.data + step.data)]
    if kind == 3:
        return [replace(step, data=step.data[: random.randint(0, len(step.data))], ending=random.choice(list(Ending)))]
    if kind == 4:
        return [replace(step, stamp=not step.stamp)]
    return [replace(step, data=b"")]


_CHANGES: tuple[Callable[[Step, Random], list[Step]], ...] = (*[_header] * 5, _shape, _payload, _bytes, _lengths, _pace, _order)
