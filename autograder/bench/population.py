"""The class that every tool grades: right, wrong and empty solutions of one assignment, the same on each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from autograder.authoring.stubs import stub_source
from autograder.grading.paths import REFERENCES, REPOSITORY
from autograder.misconceptions.bank import load_bank

NAME = "attention"
ASSIGNMENT = "01_attention"
MIX = 20  # submissions that differ; a larger class hands them in again, each with a line that makes it another file


@dataclass(frozen=True)
class Entry:
    """One student's submission. `kind` says what it is: "reference", "right: …", "stub" or "wrong: …"."""

    student: str
    kind: str
    source: str


def solutions() -> list[tuple[str, str]]:
    """Kind and source of MIX submissions: the reference, the alternative solutions, the stub, misconceptions from all over the bank.

    None runs for ever: a tool without a time limit of its own must come to an end as well.
    """
    reference = (REFERENCES / f"{NAME}.py").read_text(encoding="utf-8")
    alternatives = sorted((REPOSITORY / "tests" / "alternative_solutions" / NAME).glob("*.py"))
    found = [("reference", reference)]
    found += [(f"right: {path.stem}", path.read_text(encoding="utf-8")) for path in alternatives[: MIX // 2 - 1]]
    found.append(("stub", stub_source(reference)))
    bank = load_bank(NAME)
    wanted = MIX - len(found)
    chosen = [bank[position * len(bank) // wanted] for position in range(wanted)]
    return found + [(f"wrong: {entry.name}", entry.apply(reference)) for entry in chosen]


def make_class(size: int, mix: Sequence[tuple[str, str]] | None = None) -> list[Entry]:
    """`size` submissions, right and wrong ones taking turns so that a part of the class is like the whole."""
    pairs = list(islice(cycle(_spread(list(mix if mix is not None else solutions()))), size))
    return [Entry(f"student{number:04}", kind, f"{source.rstrip()}\n\n# {number}\n") for number, (kind, source) in enumerate(pairs, 1)]


def write_class(entries: Sequence[Entry], folder: Path) -> Path:
    """`folder`, filled as students hand in: <student>/01_attention/attention.py."""
    for entry in entries:
        path = source_path(folder, entry.student)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(entry.source, encoding="utf-8")
    return folder


def source_path(folder: Path, student: str) -> Path:
    return folder / student / ASSIGNMENT / f"{NAME}.py"


def _spread(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """First half and second half taking turns."""
    middle = (len(pairs) + 1) // 2
    first, second = pairs[:middle], pairs[middle:]
    return [pair for index in range(middle) for pair in (first[index : index + 1] + second[index : index + 1])]
