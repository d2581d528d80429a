"""Texts compared by their letters and digits alone, so that layout, quotes, line ends and brackets make no difference."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

LEAST_SENTENCE = 24  # letters and digits; a shorter one is anybody's
WINDOW = 32  # letters and digits that are compared at a time

_ESCAPED_SPACE = re.compile(r"\\[nrt]")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Run:
    """A stretch of letters and digits that one text shares with another; `source` is where it begins there."""

    characters: int
    source: str
    begins: str


def letters(text: str) -> str:
    return "".join(_words(text))


def windows(text: str) -> Iterator[tuple[int, str]]:
    """Every WINDOW letters and digits that begin with a word, with their place among all of them."""
    words = _words(text)
    joined = "".join(words)
    place = 0
    for word in words:
        window = joined[place : place + WINDOW]
        if len(window) == WINDOW:
            yield place, window
        place += len(word)


def longest_run(text_windows: Iterable[tuple[int, str]], known: Mapping[str, str]) -> Run | None:
    """The longest stretch that is made of `known` windows alone; `known` has for each the name of its source."""
    longest: Run | None = None
    start, end, first = 0, -1, ""
    for place, window in text_windows:
        if window not in known:
            end = -1
            continue
        if end < place:
            start, first = place, window
        end = place + WINDOW
        if longest is None or end - start > longest.characters:
            longest = Run(end - start, known[first], first)
    return longest


def known_windows(texts: Iterable[tuple[str, str]], public: Collection[str]) -> dict[str, str]:
    """Windows of (source, text) pairs that are not `public`, each with its source."""
    known: dict[str, str] = {}
    for source, text in texts:
        for _, window in windows(text):
            if window not in public:
                known.setdefault(window, source)
    return known


def telling_parts(source: str, tree: ast.Module) -> Iterator[str]:
    """A module's source without imports and signatures, which say nothing: the handouts print them too."""
    lines = source.splitlines()
    silent: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            silent.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            silent.update(range(node.lineno, max(node.body[0].lineno, node.lineno + 1)))
    part: list[str] = []
    for number, line in enumerate(lines, 1):
        if number not in silent:
            part.append(line)
        elif part:
            yield "\n".join(part)
            part = []
    if part:
        yield "\n".join(part)


def _words(text: str) -> list[str]:
    return _WORD.findall(_ESCAPED_SPACE.sub(" ", text).lower())
