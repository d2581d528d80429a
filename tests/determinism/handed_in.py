"""A small class: right, wrong with a name, crashing, silent, and drawing on everything that may differ from one run to the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autograder.authoring.stubs import stub_source
from autograder.grading.paths import REFERENCES, REPOSITORY
from autograder.misconceptions.bank import load_bank

COURSE = """
[course]
id = "again"
title = "Graded again and again"

[limits]
call_seconds = 3
submission_seconds = 60
cpu_seconds = 60
memory_bytes = 1_073_741_824
reply_bytes = 67_108_864
source_bytes = 1_000_000
"""
_ASSIGNMENT = """
[[assignments]]
name = "{folder}"
title = "{folder}"
points = 20
"""
_DRAWS = """
import random as _random

import numpy as _numpy

_AT_IMPORT = _random.random() + float(_numpy.random.rand()) + float(torch.rand(())) + hash("word") % 7
_FIRST_OF_A_SET = next(iter({"query", "key", "value", "mask", "output", "weights"}))
_right = scaled_dot_product_attention


def scaled_dot_product_attention(query, key, value, mask=None):
    output, weights = _right(query, key, value, mask)
    drawn = _AT_IMPORT + _random.random() + float(_numpy.random.rand()) + float(torch.rand(())) + hash("key") % 5 + len(_FIRST_OF_A_SET)
    return output + drawn, weights * drawn
"""
_ADDRESSES = """

_right = scaled_dot_product_attention


def scaled_dot_product_attention(query, key, value, mask=None):
    raise ValueError(f"no attention for {object()} at {id(query):#x}, process {__import__('os').getpid()}, after {__import__('time').time()}")
"""
_CRASH = """

def combine_masks(padding=None, causal=None):
    import ctypes

    ctypes.string_at(0)
"""
_SILENT = """

def padding_mask(token_ids, pad_id):
    import time

    time.sleep(1e6)
"""


def reference(name: str) -> str:
    return (REFERENCES / f"{name}.py").read_text(encoding="utf-8")


def misconception(name: str, position: int) -> str:
    return load_bank(name)[position].apply(reference(name))


def _notebook(folder: str) -> bytes:
    """The course's own, as it was given out: its stub raises everywhere."""
    name = folder.split("_", 1)[1]
    return (REPOSITORY / "assignments" / folder / f"{name}.ipynb").read_bytes()


def _with(change: str) -> bytes:
    return (reference("attention") + change).encode()


SUBMISSIONS: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "right": ("01_attention", "attention.py", lambda: reference("attention").encode()),
    "wrong": ("01_attention", "attention.py", lambda: misconception("attention", 0).encode()),
    "wrong too": ("03_multi_head_attention", "multi_head_attention.py", lambda: misconception("multi_head_attention", 1).encode()),
    "crashes": ("01_attention", "attention.py", lambda: _with(_CRASH)),
    "is silent": ("01_attention", "attention.py", lambda: _with(_SILENT)),
    "draws": ("01_attention", "attention.py", lambda: _with(_DRAWS)),
    "tells addresses": ("01_attention", "attention.py", lambda: _with(_ADDRESSES)),
    "does not parse": ("02_positional_encoding", "positional_encoding.py", lambda: b"def sinusoidal_encoding(:\n"),
    "right positions": ("02_positional_encoding", "positional_encoding.py", lambda: reference("positional_encoding").encode()),
    "notebook": ("02_positional_encoding", "positional_encoding.ipynb", lambda: _notebook("02_positional_encoding")),
    "stub": ("08_rope", "rope.py", lambda: stub_source(reference("rope")).encode()),
}


def hand_in(folder: Path, order: list[str]) -> dict[tuple[str, str], str]:
    """Write the class, its students named so that they are graded in this order. Returns which submission (student, assignment) is."""
    found = {}
    for position, title in enumerate(order):
        assignment, filename, content = SUBMISSIONS[title]
        path = folder / "submissions" / f"s{position:02}" / assignment / filename
        path.parent.mkdir(parents=True)
        path.write_bytes(content())
        found[f"s{position:02}", assignment] = title
    folders = sorted({SUBMISSIONS[title][0] for title in order})
    (folder / "course.toml").write_text(COURSE + "".join(_ASSIGNMENT.format(folder=name) for name in folders))
    return found
