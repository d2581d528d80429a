"""The text of the statements that were chosen, as it stands in the cells, and from which cell each line of it comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from autograder.checking.notebook_commands import parsed
from autograder.checking.notebook_json import Cell
from autograder.checking.notebook_statements import ReadCell, Statement

_MAX_RUNS = 10  # of one cell whose comments are kept
_BETWEEN = 2  # empty lines


@dataclass(frozen=True)
class Piece:
    """Lines `cell_line` … of a cell; they begin at `line` of the assembled text."""

    line: int
    cell: Cell
    cell_line: int


def assemble(statements: Sequence[Statement], features: Sequence[str], whole: Sequence[ReadCell]) -> tuple[str, tuple[Piece, ...]]:
    """`features` are the names that `from __future__` imports; cells of `whole` are added as they are."""
    parts = [(None, 1, [f"from __future__ import {', '.join(features)}"])] if features else []
    fragments: list[tuple[Cell | None, int, list[str]]] = [*parts]
    runs = _runs(statements)
    of_cell = Counter(run[0].cell for run in runs)
    for run in runs:
        fragments += _fragments(run) if of_cell[run[0].cell] <= _MAX_RUNS else _bare(run)
    fragments += [(cell.cell, *_stripped(cell.python.text.split("\n"), 1)) for cell in whole]
    lines: list[str] = []
    pieces = []
    for cell, first, text in fragments:
        if not text:
            continue
        lines += [""] * _BETWEEN if lines else []
        if cell is not None:
            pieces.append(Piece(len(lines) + 1, cell, first))
        lines += text
    return "\n".join(lines) + "\n" if lines else "", tuple(pieces)


def _runs(statements: Sequence[Statement]) -> list[list[Statement]]:
    """Neighbours of one cell in the order that they have there."""
    runs: list[list[Statement]] = []
    for statement in statements:
        last = runs[-1][-1] if runs else None
        if last is not None and last.cell is statement.cell and last.node.lineno <= statement.node.lineno:
            runs[-1].append(statement)
        else:
            runs.append([statement])
    return runs


def _fragments(run: list[Statement]) -> list[tuple[Cell | None, int, list[str]]]:
    cell = run[0].cell
    lines = [line.encode() for line in cell.python.text.split("\n")]
    positions = {statement: position for position, statement in enumerate(cell.statements)}
    first, last = positions[run[0]], positions[run[-1]]
    begin = cell.statements[first - 1].last_line if first else 0
    end = len(lines) if last + 1 == len(cell.statements) else run[-1].last_line
    kept = set(run)
    for statement in reversed(cell.statements):
        if statement not in kept:
            _blank(lines, statement)
    begin = min(begin, run[0].first_line - 1)
    at, text = _stripped([line.decode() for line in lines[begin:end]], begin + 1)
    if parsed("\n".join(text)) is not None:
        return [(cell.cell, at, text)]
    return _bare(run)


def _bare(run: list[Statement]) -> list[tuple[Cell | None, int, list[str]]]:
    return [(statement.cell.cell, statement.first_line, statement.text.split("\n")) for statement in run]


def _blank(lines: list[bytes], statement: Statement) -> None:
    """Take a statement out; its line ends and what shares a line with it stay."""
    first, last = statement.first_line - 1, statement.last_line - 1
    start = statement.node.col_offset if first == statement.node.lineno - 1 else 0
    head, tail = lines[first][:start], lines[last][statement.node.end_col_offset :]
    tail = b"pass" + tail if tail.lstrip().startswith(b";") else tail
    lines[first : last + 1] = [head + tail] if first == last else [head, *[b""] * (last - first - 1), tail]


def _stripped(lines: list[str], first: int) -> tuple[int, list[str]]:
    """Without empty lines at both ends; `first` is the number of the first line."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    empty = next((position for position, line in enumerate(lines) if line.strip()), len(lines))
    return first + empty, lines[empty:]
