"""Finds its line to the grader and writes replies of its own: before the question, twice, truncated, endless, of wrong lengths."""

import json
import os
import stat
import struct

LINE = -1
for number in range(3, 64):
    try:
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            LINE = number
    except OSError:
        pass
calls = 0


def frame(header, payload=b"", header_length=None, payload_length=None):
    text = json.dumps(header).encode()
    return struct.pack("<IQ", header_length or len(text), len(payload) if payload_length is None else payload_length) + text + payload


TRUE = {"value": {"value": True, "graph": None, "differentiable": []}, "tensors": []}
WAYS = (
    lambda number: frame({"id": number, **TRUE}) * 2,
    lambda number: b"".join(frame({"id": number + later, **TRUE}) for later in range(1, 40)),
    lambda number: frame({"id": number, **TRUE})[:7],
    lambda number: frame({"id": number, **TRUE}, payload_length=2**40),
    lambda number: frame({"id": number, **TRUE}, header_length=2**32 - 1),
    lambda number: struct.pack("<IQ", 0, 0),
    lambda number: frame({"id": str(number), **TRUE}),
    lambda number: frame([number]),
    lambda number: b"\x80\x04\x95" * 1000,
    lambda number: frame({"id": True, **TRUE}),
    lambda number: struct.pack("<IQ", 10, 0) + b"[" * 10,
)


def scaled_dot_product_attention(query, key, value, mask=None):
    global calls
    calls += 1
    for number in range(calls, calls + 3):
        os.write(LINE, WAYS[calls % len(WAYS)](number))
    return True


def padding_mask(token_ids, pad_id):
    os.write(LINE, frame({"id": 3, **TRUE}))
    os.close(LINE)


def causal_mask(query_length, key_length=None):
    os.write(LINE, frame({"id": 1, "value": True}) * 100)
    return True
