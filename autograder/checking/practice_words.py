"""The practice score as Markdown for GitHub. Pure. Whatever a student's file could put into it is shown as plain text."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_BYTES = 900_000  # GitHub takes 1 MiB of a step and drops the whole summary beyond that
_MAX_ASSIGNMENT_BYTES = 60_000
_MAX_LINE = 300
_READ_BY_MARKDOWN = frozenset("\\`*_{}[]()<>#!|~@:&\"'")
_SHORTENED = "… the rest is left out; `make check` on your machine shows all of it."


@dataclass(frozen=True)
class Practice:
    """What came of one assignment. `problem` says why nothing was run, `lines` are the check's words on what did not pass."""

    folder: str  # "01_attention"
    passed: int = 0
    total: int = 0
    unwritten: bool = False  # no test passed and none failed
    next_step: str = ""
    problem: str = ""
    lines: tuple[str, ...] = ()


def summary(done: Sequence[Practice]) -> str:
    """At most MAX_BYTES of UTF-8."""
    passed, total = sum(practice.passed for practice in done), sum(practice.total for practice in done)
    head = [
        f"## Practice score: {passed} of {total} public tests pass",
        "",
        "**This is practice, not your grade.** The hidden tests that give the grade are stricter: other sizes, unusual inputs, precision, gradients,",
        "bad arguments. The handout's contract says all that they ask.",
        "",
        "| assignment | public tests | what to do next |",
        "|---|---|---|",
        *(f"| {_plain(practice.folder)} | {_score(practice)} | {_next_step(practice)} |" for practice in done),
        "",
    ]
    text = "\n".join(head) + "\n"
    for practice in done:
        details = "\n".join(_details(practice))
        if len((text + details).encode("utf-8", "replace")) > MAX_BYTES - len(_SHORTENED) - 2:
            return text + _SHORTENED + "\n"
        text += details
    return text


def _score(practice: Practice) -> str:
    if practice.problem:
        return "not run"
    if practice.unwritten:
        return "to do"
    return f"{practice.passed} of {practice.total}"


def _next_step(practice: Practice) -> str:
    if practice.problem:
        return "make it run: see below"
    if practice.total and practice.passed == practice.total:
        return "all pass; now go through the contract line by line"
    return _plain(practice.next_step or "see below")


def _details(practice: Practice) -> Iterator[str]:
    """Nothing for an assignment that was not begun, or is done."""
    lines = practice.problem.splitlines() if practice.problem else () if practice.unwritten else practice.lines
    if not lines:
        return
    yield f"### {_plain(practice.folder)}"
    yield ""
    yield "<pre>"  # nothing is Markdown up to </pre>, which no escaped line can hold
    left = _MAX_ASSIGNMENT_BYTES
    for line in lines:
        shown = html.escape(_printable(line[:_MAX_LINE] + ("…" if len(line) > _MAX_LINE else "")))
        left -= len(shown.encode("utf-8", "replace")) + 1
        if left < 0:
            yield _SHORTENED
            break
        yield shown
    yield "</pre>"
    yield ""
    yield ""


def _plain(text: str) -> str:
    """One line in a table's cell, without a letter that Markdown or HTML would read."""
    line = _printable(" ".join(text.split()))[:_MAX_LINE]
    return "".join(f"&#{ord(letter)};" if letter in _READ_BY_MARKDOWN else letter for letter in line)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter == "\t" else "�" for letter in text)
