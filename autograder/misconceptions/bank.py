"""What a misconception is: a small edit of the reference, with the sentence that a student who made it should read."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KILLS = Path(__file__).with_name("kills")


@dataclass(frozen=True)
class Misconception:
    """A named wrong variant of a reference solution.

    edits: pairs (text of the reference, what the mistaken student writes); the first of each pair occurs exactly once.
    """

    name: str
    says: str
    edits: tuple[tuple[str, str], ...]

    def apply(self, reference_source: str) -> str:
        """Source of the wrong variant. Raises ValueError when an edit does not fit the reference any more."""
        source = reference_source
        for old, new in self.edits:
            found = source.count(old)
            if found != 1:
                raise ValueError(f"misconception {self.name}: {old!r} occurs {found} times in the reference, expected once")
            source = source.replace(old, new)
        return source


def load_bank(name: str) -> tuple[Misconception, ...]:
    """The bank of one assignment ("attention"); empty when it has none."""
    try:
        module = importlib.import_module(f"autograder.misconceptions.{name}")
    except ModuleNotFoundError:
        return ()
    bank = tuple(module.MISCONCEPTIONS)
    names = [entry.name for entry in bank]
    if len(set(names)) != len(names):
        raise ValueError(f"misconceptions of {name}: two have the same name")
    return bank


def load_kills(name: str) -> Mapping[str, frozenset[str]]:
    """For each misconception of an assignment the hidden tests that do not pass with it, as `make verify` measured them.

    Only these can show the mistake, so that no other replay is needed. A misconception that was never measured is absent.
    """
    path = KILLS / f"{name}.json"
    if not path.is_file():
        return {}
    return {entry: frozenset(tests) for entry, tests in json.loads(path.read_text(encoding="utf-8")).items()}


def kills_text(kills: Mapping[str, frozenset[str]]) -> str:
    """What `load_kills` reads; the same kills give the same bytes."""
    return json.dumps({entry: sorted(tests) for entry, tests in kills.items()}, indent=1, sort_keys=True) + "\n"
