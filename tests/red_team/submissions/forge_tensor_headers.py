"""Rewrites the headers of its tensors: strides of zero, other lengths, overlaps, sizes beyond the message, other dtypes."""

import gc

calls = 0


def lie(spec):
    global calls
    calls += 1
    ways = (
        {"strides": [0] * len(spec["shape"])}, {"length": spec["length"] - 1}, {"offset": spec["offset"] - 8}, {"offset": 2**62},
        {"shape": [2**39] * len(spec["shape"])}, {"shape": [-1] * len(spec["shape"])}, {"dtype": "bool"}, {"dtype": "object"},
        {"shape": [True] * len(spec["shape"])}, {"strides": [1.0] * len(spec["shape"])}, {"length": None}, {"shape": {}}, {"dtype": ["float64"]},
    )  # fmt: skip
    return {**spec, **ways[calls % len(ways)]}


for thing in gc.get_objects():
    if type(thing).__name__ == "Service":
        original = type(thing).answer

        def answer(self, header, payload, original=original):
            reply, data = original(self, header, payload)
            if reply.get("tensors"):
                reply["tensors"] = [lie(spec) for spec in reply["tensors"]]
            return reply, data

        type(thing).answer = answer
