"""The check's results as lines of plain text. Pure: what is printed, and where, is decided by the caller."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from autograder.checking.check_results import NOT_IMPLEMENTED, Checked, CheckedTest, Interruption, Outcome, Place, Problem

_WIDTH = 100
_INDENT = " " * 9
_MAX_FRAMES = 3
_MAX_PRINTED_LINES = 10
_MARK = {Outcome.PASSED: "passed", Outcome.FAILED: "FAILED", Outcome.NOT_IMPLEMENTED: "to do", Outcome.NOT_RUN: "not run"}
_COLOUR = {Outcome.PASSED: "32", Outcome.FAILED: "1;31", Outcome.NOT_IMPLEMENTED: "33", Outcome.NOT_RUN: "2"}
_STRICTER = (
    "The hidden tests are stricter: other sizes, unusual inputs, precision, gradients, errors for bad arguments. The handout says what is asked."
)


def test_lines(test: CheckedTest, colour: bool = False) -> Iterator[str]:
    """One test: its mark and title, and what is wrong if something is."""
    mark = f"{_MARK[test.outcome]:8}"
    if colour:
        mark = f"\033[{_COLOUR[test.outcome]}m{mark}\033[0m"
    first, *rest = textwrap.wrap(test.title, _WIDTH - len(_INDENT)) or [""]
    yield f"{mark} {first}"
    yield from (_INDENT + line for line in rest)
    if test.needs:
        yield from _wrapped(f"it needs this to pass first: {'; '.join(test.needs)}")
    if test.problem is not None:
        yield from problem_lines(test.problem)
    if test.printed.strip():
        yield from _printed_lines(test.printed)
    if test.outcome is Outcome.FAILED:
        yield ""


def problem_lines(problem: Problem) -> Iterator[str]:
    """The reason, the hint, the student's own lines and the line of the test, each where there is one."""
    yield from _wrapped(_capital(problem.reason))
    if problem.hint:
        yield from _wrapped(f"Hint: {problem.hint}")
    yield from _place_lines("your line", problem.frames[-_MAX_FRAMES:])
    yield from _place_lines("your code", problem.asked_for)
    yield from _place_lines("the test", (problem.test,) if problem.test else ())


def summary_lines(checked: Checked, debug: str | None) -> Iterator[str]:
    """How many pass and what to do next. `debug` is a command that opens a debugger; {name} in it stands for the test."""
    total = len(checked.tests)
    if checked.interruption:
        yield from interruption_lines(checked.interruption)
        if total:
            yield f"Before that, {checked.passed} of {total} public tests passed{_others(checked.tests)}."
        return
    yield f"{checked.passed} of {total} public tests pass{_others(checked.tests)}."
    first = next((test for test in checked.tests if test.outcome in (Outcome.FAILED, Outcome.NOT_IMPLEMENTED)), None)
    if first is None:
        if total and checked.passed == total:
            yield _STRICTER
        return
    verb = "write what comes first" if first.outcome is Outcome.NOT_IMPLEMENTED else "begin with the first failure, the others may follow from it"
    yield f"Next: {verb}: {first.title}."
    if debug and first.outcome is Outcome.FAILED:
        yield f"To look inside, put breakpoint() in your code or run: {debug.format(name=first.name.partition('[')[0])}"
    yield _STRICTER


def interruption_lines(interruption: Interruption) -> Iterator[str]:
    yield f"Stopped by you during: {interruption.test}." if interruption.test else "Stopped by you."
    if interruption.place:
        yield from _place_lines("it was here", (interruption.place,))
        yield _INDENT + "If it had been busy for long: does the loop around this line ever end?"


def _others(tests: Sequence[CheckedTest]) -> str:
    counts = [(sum(test.outcome is outcome for test in tests), outcome) for outcome in (Outcome.FAILED, Outcome.NOT_IMPLEMENTED, Outcome.NOT_RUN)]
    words = {Outcome.FAILED: "failed", Outcome.NOT_IMPLEMENTED: "not implemented yet", Outcome.NOT_RUN: "not run"}
    named = [f"{count} {words[outcome]}" for count, outcome in counts if count]
    return f" ({', '.join(named)})" if named else ""


def _place_lines(label: str, places: Sequence[Place]) -> Iterator[str]:
    for number, place in enumerate(places):
        name = f"{label}:" if number == 0 else ""
        yield f"{_INDENT}{name:12} {place.where}" + (f"   {_shortened(place.text)}" if place.text else "")


def _printed_lines(printed: str) -> Iterator[str]:
    lines = printed.rstrip().splitlines()
    yield f"{_INDENT}your code printed:"
    yield from (f"{_INDENT}  {_shortened(line)}" for line in lines[:_MAX_PRINTED_LINES])
    if len(lines) > _MAX_PRINTED_LINES:
        yield f"{_INDENT}  … and {len(lines) - _MAX_PRINTED_LINES} more lines"


def _wrapped(text: str) -> Iterator[str]:
    for paragraph in text.splitlines():
        yield from textwrap.wrap(paragraph, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _capital(text: str) -> str:
    """A sentence begins with a capital unless it begins with a name of Python's, or repeats the stub's own words."""
    first = text.partition(" ")[0]
    return text if not first.isalpha() or text.startswith(NOT_IMPLEMENTED) else text[:1].upper() + text[1:]


def reading_lines(notes: Sequence[str]) -> list[str]:
    """How a notebook was read, before its tests."""
    return ["How the notebook was read:", *(f"- {note}" for note in notes), ""] if notes else []
