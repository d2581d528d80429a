"""Runs a target on a fuzzer's inputs and keeps each way to fail once; without a fuzzer too."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz.mutate import mutated, without_form
from tests.fuzz.scripts import Step, from_bytes, to_bytes
from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import TARGETS

_FORMLESS_SHARE = 0.2  # of changes that know nothing of the form


class Hunt:
    """`run` never raises: the hunt goes on after a finding."""

    def __init__(self, target: str, findings: Path) -> None:
        self.target = target
        self.folder = findings
        self.known: set[str] = set()

    def run(self, data: bytes) -> None:
        try:
            TARGETS[self.target](data)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._keep(data, error)

    def _keep(self, data: bytes, error: BaseException) -> None:
        innermost = error
        while (cause := innermost.__cause__ or innermost.__context__) is not None:
            innermost = cause
        place = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(innermost.__traceback__)[-2:]]
        mark = hashlib.sha256(repr((type(error).__name__, type(innermost).__name__, place)).encode()).hexdigest()[:12]
        if mark in self.known:
            return
        self.known.add(mark)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.target}-{type(innermost).__name__}-{mark}"
        path.write_bytes(data)
        path.with_name(f".{path.name}.txt").write_text("".join(traceback.format_exception(error)), errors="backslashreplace")


def begin(target: str, corpus: Path) -> None:
    """Put the target's own first inputs into the corpus."""
    for data in seeds_of(target):
        (corpus / hashlib.sha256(data).hexdigest()[:24]).write_bytes(data)


def changer(target: str) -> Callable[[bytes, int, int], bytes]:
    """A mutator of the fuzzer's interface, (data, max_size, seed)."""

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < _FORMLESS_SHARE:
            return without_form(bytes(data), random)[:max_size]
        return with_form(target, bytes(data), random)[:max_size]

    return change


def with_form(target: str, data: bytes, random: Random) -> bytes:
    if target == "link":
        return to_bytes(mutated(from_bytes(data), random))
    if target == "suite":
        first = data[:1] if random.random() < 0.95 else bytes([random.randrange(256)])
        return first + to_bytes(mutated(from_bytes(data[1:]), random))
    if target == "frame":
        return b"".join(step.data for step in mutated([Step(data)], random))
    return notebook(data, random)


def notebook(data: bytes, random: Random) -> bytes:
    """JSON as a frame without a payload, changed and taken out again."""
    import json

    from tests.fuzz.scripts import join, split

    try:
        frame = join(json.loads(data), b"")
    except (ValueError, RecursionError):
        return data[: random.randint(0, len(data))] + data[random.randint(0, len(data)) :]
    parts = split(mutated([Step(frame)], random)[0].data)
    return json.dumps(parts[0]).encode() if parts else data[: random.randint(0, len(data))]
