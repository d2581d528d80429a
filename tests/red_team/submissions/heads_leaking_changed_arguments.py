"""Rewrites the worker's own account of a call: names of changed arguments, measurements and forbidden calls carry a text."""

import gc

TEXT = "x3141592653589793_smuggled"
for thing in gc.get_objects():
    if type(thing).__name__ == "Service":
        original = type(thing).answer

        def answer(self, header, payload, original=original):
            reply, data = original(self, header, payload)
            reply["changed"] = [TEXT, f"argument {TEXT}", "argument 31415926535"]
            reply["forbidden"] = [TEXT, f"{TEXT}.MultiheadAttention", f"{TEXT}.e"]
            reply["cost"] = [31415926535, 1, 1, 1, {TEXT: 1}]
            return reply, data

        type(thing).answer = answer
