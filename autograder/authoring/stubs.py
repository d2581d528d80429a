"""Turn the source of a reference solution into the stub that students complete.

A region between nbgrader's markers that lies in a function becomes a NotImplementedError; one that lies in a class or at
the top of the module holds helpers of the reference and vanishes.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

BEGIN = "### BEGIN SOLUTION"
END = "### END SOLUTION"
INVITATION = "# Write your solution here."

_LOOKS_LIKE_A_MARKER = re.compile(r"#+\s*(begin|end)\s+solution\b", re.IGNORECASE)


class MarkerError(ValueError):
    """The solution markers of a reference do not pair up, or cut its code where it cannot be cut."""

    def __init__(self, line: int, problem: str) -> None:
        self.line = line
        super().__init__(f"line {line}: {problem}")


@dataclass(frozen=True)
class Region:
    """One marked region. `function` is the qualified name of the function it lies in, None for a region of helpers."""

    begin_line: int
    end_line: int
    indent: int
    function: str | None


@dataclass(frozen=True)
class _Block:
    """A list of statements of the source, and the function or class that owns it."""

    function: str | None
    statements: list[ast.stmt]


def stub_source(reference_source: str) -> str:
    """Source of the stub. Raises MarkerError, which names the line, when the markers are malformed."""
    lines = reference_source.splitlines()
    for region in reversed(find_regions(reference_source)):
        before, after = lines[: region.begin_line - 1], lines[region.end_line :]
        if region.function is None:
            while before and not before[-1].strip():
                before.pop()
            lines = before + after
        else:
            indent = " " * region.indent
            error = f'raise NotImplementedError("not implemented yet: {region.function}")'
            lines = [*before, indent + INVITATION, indent + error, *after]
    stub = "\n".join(lines).rstrip() + "\n"
    try:
        ast.parse(stub)
    except SyntaxError as error:
        raise MarkerError(error.lineno or 1, "without its solution regions this is not valid Python; does a class lose its whole body?") from None
    return stub


def find_regions(source: str) -> list[Region]:
    """The marked regions, from top to bottom. Raises MarkerError when they are malformed."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise MarkerError(error.lineno or 1, f"the reference is not valid Python: {error.msg}") from None
    blocks = list(_blocks(tree, (), in_function=False))
    return [_region(begin, end, indent, blocks) for begin, end, indent in _pairs(source)]


def _pairs(source: str) -> Iterator[tuple[int, int, int]]:
    begin_line, begin_indent = 0, 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or not _LOOKS_LIKE_A_MARKER.match(token.string):
            continue
        (line, indent), text = token.start, token.string.rstrip()
        if text not in (BEGIN, END):
            raise MarkerError(line, f"{text!r} looks like a marker; write exactly {BEGIN!r} or {END!r}")
        if token.line[:indent].strip():
            raise MarkerError(line, f"{text!r} must stand alone on its line")
        if text == BEGIN and begin_line:
            raise MarkerError(line, f"{BEGIN!r} again, while the region of line {begin_line} is still open")
        if text == END and not begin_line:
            raise MarkerError(line, f"{END!r} without a {BEGIN!r} before it")
        if text == BEGIN:
            begin_line, begin_indent = line, indent
            continue
        if indent != begin_indent:
            raise MarkerError(line, f"{END!r} is indented by {indent}, its {BEGIN!r} on line {begin_line} by {begin_indent}")
        yield begin_line, line, indent
        begin_line = 0
    if begin_line:
        raise MarkerError(begin_line, f"{BEGIN!r} without an {END!r} after it")


def _region(begin: int, end: int, indent: int, blocks: list[_Block]) -> Region:
    holders: list[_Block] = []
    for block in blocks:
        inside = []
        for statement in block.statements:
            first, last = _span(statement)
            if begin < first and last < end:
                inside.append(statement)
            elif begin < first < end < last or (first < begin <= last and not _holds_statements(statement)):
                raise MarkerError(begin, f"the region of lines {begin} to {end} cuts through the statement on line {first}")
        # A block nested in a statement of the region is inside too; only the outermost decides.
        if inside and not any(_contains(holder.statements, inside, begin, end) for holder in holders):
            holders.append(block)
    if not holders:
        raise MarkerError(begin, "no statement between the markers")
    if len(holders) > 1:
        raise MarkerError(begin, f"the region of lines {begin} to {end} crosses the end of a function or class")
    statement = next(s for s in holders[0].statements if begin < _span(s)[0] < end)
    if statement.col_offset != indent:
        raise MarkerError(begin, f"{BEGIN!r} is indented by {indent}, the code after it by {statement.col_offset}")
    return Region(begin, end, indent, holders[0].function)


def _contains(outer: list[ast.stmt], inner: list[ast.stmt], begin: int, end: int) -> bool:
    spans = [_span(statement) for statement in outer]
    spans = [(first, last) for first, last in spans if begin < first and last < end]
    return all(any(first <= _span(statement)[0] and _span(statement)[1] <= last for first, last in spans) for statement in inner)


def _blocks(node: ast.AST, names: tuple[str, ...], *, in_function: bool) -> Iterator[_Block]:
    for field in ("body", "orelse", "finalbody"):
        statements = getattr(node, field, None)
        if isinstance(statements, list) and statements and isinstance(statements[0], ast.stmt):
            yield _Block(".".join(names) if in_function else None, statements)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _blocks(child, (*names, child.name), in_function=True)
        elif isinstance(child, ast.ClassDef):
            yield from _blocks(child, (*names, child.name), in_function=False)
        elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _blocks(child, names, in_function=in_function)


def _span(statement: ast.stmt) -> tuple[int, int]:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)]), statement.end_lineno or statement.lineno


def _holds_statements(statement: ast.stmt) -> bool:
    return isinstance(getattr(statement, "body", getattr(statement, "cases", None)), list)
