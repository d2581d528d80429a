"""All mutants of a reference solution: every operator at every place that a student writes."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from autograder.authoring.mutants.operators import is_docstring, replacements
from autograder.authoring.stubs import find_regions

_SHORT = 110


@dataclass(frozen=True, order=True)
class Key:
    """What names a mutant through edits elsewhere in the file: the function, the line's own text, and what becomes of what."""

    function: str
    line: str
    mutation: str


@dataclass(frozen=True)
class Mutant:
    """One changed reference. number: its line."""

    key: Key
    number: int
    source: str


@dataclass(frozen=True)
class _Place:
    node: ast.stmt | ast.expr
    parent: ast.AST
    function: str


def mutants_of(source: str) -> list[Mutant]:
    """From top to bottom, each different program once. Annotations, docstrings, f-strings and the words of errors are left alone."""
    inside = {number for region in find_regions(source) for number in range(region.begin_line, region.end_line + 1)}
    lines = source.encode().splitlines(keepends=True)
    found: list[Mutant] = []
    keys: dict[Key, int] = {}
    tree = ast.parse(source)
    for part in tree.body:  # only the function or class is parsed again for each mutant of it
        first, last = _first_line(part) - 1, part.end_lineno or part.lineno
        seen = {ast.dump(part)}
        for place in _places(part, tree, ""):
            if place.node.lineno not in inside:
                continue
            for text in replacements(place.node, place.parent):
                changed = _spliced(lines[first:last], place.node, text, first)
                try:
                    program = ast.parse(changed)
                    compile(program, "mutant", "exec", dont_inherit=True)
                except (SyntaxError, ValueError):
                    continue
                if (dumped := ast.dump(program.body[0])) in seen:
                    continue
                seen.add(dumped)
                line = lines[place.node.lineno - 1].decode().strip()
                key = Key(place.function, line, f"{_short(ast.unparse(place.node))} → {_short(text)}")
                keys[key] = keys.get(key, 0) + 1
                if keys[key] > 1:
                    key = Key(key.function, key.line, f"{key.mutation} ({keys[key]})")
                whole = b"".join([*lines[:first], changed, *lines[last:]]).decode()
                found.append(Mutant(key, place.node.lineno, whole))
    return sorted(found, key=lambda mutant: mutant.number)


def _first_line(part: ast.stmt) -> int:
    decorators = part.decorator_list if isinstance(part, ast.FunctionDef | ast.ClassDef) else []
    return min([part.lineno, *(decorator.lineno for decorator in decorators)])


def _places(node: ast.AST, parent: ast.AST, function: str) -> Iterator[_Place]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        function = f"{function}.{node.name}".lstrip(".")
    if isinstance(node, ast.stmt | ast.expr) and not (isinstance(node, ast.Slice) or (isinstance(node, ast.Tuple) and _holds_slice(node))):
        yield _Place(node, parent, function)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns") or isinstance(node, ast.JoinedStr) or is_docstring(node):
            continue
        if isinstance(node, ast.Call) and _is_error(node) and name == "args":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _places(child, node, function)


def _is_error(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id.endswith("Error")


def _holds_slice(node: ast.Tuple) -> bool:
    return any(isinstance(element, ast.Slice) for element in node.elts)


def _spliced(lines: list[bytes], node: ast.stmt | ast.expr, text: str, above: int) -> bytes:
    """`lines`, of which the first is line `above` + 1 of the file, with `text` where `node` stands; offsets of nodes count bytes."""
    first, last = node.lineno - 1 - above, (node.end_lineno or node.lineno) - 1 - above
    before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
    put = textwrap.indent(text, " " * node.col_offset).lstrip(" ") if isinstance(node, ast.stmt) else f"({text})"
    return b"".join([*lines[:first], before, put.encode(), after, *lines[last + 1 :]])


def _short(text: str) -> str:
    first, _, more = text.partition("\n")
    text = f"{first} …" if more else first
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
