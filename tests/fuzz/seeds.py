"""Where fuzzing begins: what the worker's own code answers to the questions of real hidden tests and of a whole conversation."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from autograder.grading.paths import REFERENCES, REPOSITORY
from autograder.grading.worker_link import Source, WorkerLink
from autograder.hidden_tests.rules import rules_of
from autograder.misconceptions.bank import load_bank
from autograder.wire.frame import PREFIX, pack, parse_header
from autograder.worker.forbidden import Ban
from autograder.worker.service import Service
from tests.fuzz import targets
from tests.fuzz.clockwork import FakeZygote, simulated
from tests.fuzz.scripts import STAMP, Step, join, split, to_bytes

_THING = """
import torch
from torch import nn

def f(x, flag=True):
    if x.shape[0] > 100:
        raise ValueError("x is too long")
    x.detach().add_(0)
    return x * 2, (x.sum(), None, [1, 2.5, True, "word"]), {"mask": x > 0, "half": x.to(torch.bfloat16)}

class Thing(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.linear1 = nn.Linear(3, size, dtype=torch.float64)
        self.length = size

    def forward(self, x):
        return self.linear1(x), self
"""


class Recorder:
    """The worker's own code in this process, and its answers as steps of a script. For the course's own texts alone."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.service = Service(Ban())
        self.steps: list[Step] = []

    def answer(self, question: bytes) -> bytes:
        header_length, _ = PREFIX.unpack_from(question)
        begin = PREFIX.size + header_length
        header = parse_header(bytearray(question[PREFIX.size : begin]))
        if header["op"] in ("load", "analyse"):
            header |= {"source": self.source, "forbidden_names": [], "forbidden_operators": []}
        reply, payload = self.service.answer(header, bytearray(question[begin:]))
        answer = pack(reply, payload)
        parts = split(answer)
        assert parts is not None
        self.steps.append(Step(join({**parts[0], "id": json.loads(STAMP)}, parts[1])))
        return answer


@contextlib.contextmanager
def _modules_kept() -> Iterator[None]:
    before = set(sys.modules)
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            if name in ("f", targets.SUITE):
                del sys.modules[name]


@cache
def conversation() -> list[Step]:
    """Answers to all that `targets.converse` asks."""
    recorder = Recorder(_THING)
    with simulated() as clock, _modules_kept():
        zygote = FakeZygote(clock, [], recorder.answer)
        targets.converse(WorkerLink(zygote, Source("f.py", targets.SOURCE), rules_of(targets.SUITE), targets.LIMITS))  # type: ignore[arg-type]
    return recorder.steps


@cache
def sittings(variants: int = 3) -> dict[str, list[list[Step]]]:
    """By hidden test: the answers of the reference and of some wrong solutions."""
    reference = (REFERENCES / f"{targets.SUITE}.py").read_text(encoding="utf-8")
    sources = [reference, *(entry.apply(reference) for entry in load_bank(targets.SUITE)[:variants])]
    found: dict[str, list[list[Step]]] = {}
    for test in targets.the_suite().manifest:
        for source in sources:
            recorder = Recorder(source)
            with _modules_kept():
                recorder.answer(pack({"id": 0, "op": "load", "filename": f"{targets.SUITE}.py"}, b""))
                recorder.steps.clear()
                targets.sit(test.id, [], recorder.answer)
            found.setdefault(test.id, []).append(recorder.steps)
    return found


def _notebooks() -> list[bytes]:
    paths = sorted((REPOSITORY / "assignments").glob("0[13]_*/*.ipynb"))
    return [Path(path).read_bytes() for path in paths] + [b'{"cells": [{"cell_type": "code", "source": ["x = 1\\n", "%time x"], "metadata": {}}]}']


def seeds_of(target: str) -> list[bytes]:
    """Inputs of one target."""
    if target == "link":
        return [to_bytes(conversation())]
    if target == "frame":
        return [step.data for step in conversation()]
    if target == "suite":
        tests = [test.id for test in targets.the_suite().manifest]
        return [bytes([tests.index(test_id)]) + to_bytes(steps) for test_id, several in sittings().items() for steps in several]
    return _notebooks()
