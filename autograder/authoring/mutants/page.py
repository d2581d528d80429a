"""The counts in docs/mutation.md: a row for each assignment, rewritten alone, and their sum."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ROW = re.compile(r"^\| (\d\d_\w+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)
_TABLE = re.compile(r"^\| assignment \|.*\n(?:\|.*(?:\n|\Z))*", re.MULTILINE)
_HEAD = "| assignment | mutants | killed | of these by a whole grading only | equivalent | unexplained |\n|---|--:|--:|--:|--:|--:|\n"


def with_counts(page: str, counts: Mapping[str, tuple[int, ...]]) -> str:
    """`page` with the rows of the assignments in `counts` (mutants, killed, by grading, equivalent, unexplained) put in or replaced."""
    rows = {name: tuple(map(int, numbers)) for name, *numbers in _ROW.findall(page)} | dict(counts)
    lines = [_line(name, rows[name]) for name in sorted(rows)]
    lines.append(_line("all", tuple(sum(column) for column in zip(*rows.values(), strict=True))))
    table = _HEAD + "".join(lines)
    found = _TABLE.search(page)
    if found is None:
        return f"{page.rstrip()}\n\n{table}"
    return page[: found.start()] + table + page[found.end() :]


def _line(name: str, numbers: tuple[int, ...]) -> str:
    return f"| {name} | {' | '.join(map(str, numbers))} |\n"
