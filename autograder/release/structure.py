"""Python code compared by its structure: names of variables, texts, comments, annotations and layout make no difference."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from typing import Any

# The fewest parts of the structure that make it telling: the shortest that legitimate files share with a secret have 30 and 26.
WHOLE_BODY = 34
NEIGHBOURS = 60
ONE_STATEMENT = 80

_KEPT_NAMES = frozenset(dir(builtins)) | {"torch", "nn", "F", "math", "np", "pytest"}
_SILENT_FIELDS = frozenset(["annotation", "returns", "decorator_list", "type_comment", "type_params"])
_VARIABLE = "\0"
_Signature = tuple[str, ...]
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def signatures(tree: ast.AST) -> Iterator[tuple[_Signature, int]]:
    """The telling pieces of all code in `tree`, each with its line: whole bodies, two or three statements in a row, long single ones."""
    described: dict[ast.AST, list[str]] = {}
    for node in ast.walk(tree):
        for statements in _bodies(node):
            pieces = [(statements, WHOLE_BODY)] if isinstance(node, _Function | ast.Module) else []
            for count, least in ((1, ONE_STATEMENT), (2, NEIGHBOURS), (3, NEIGHBOURS)):
                pieces += [(statements[start : start + count], least) for start in range(len(statements) - count + 1)]
            for piece, least in pieces:
                parts = [part for statement in piece for part in _described(statement, described)]
                if len(parts) >= least:
                    yield _renamed(parts), piece[0].lineno


def first_shared(tree: ast.AST, known: Mapping[_Signature, str]) -> tuple[str, int] | None:
    """The source of the first piece of `tree` that is `known`, and the line where the piece begins."""
    return next(((known[signature], line) for signature, line in signatures(tree) if signature in known), None)


def _bodies(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        statements = getattr(node, field, None)
        if isinstance(statements, list):
            code = [statement for statement in statements if isinstance(statement, ast.stmt) and not _is_text(statement)]
            # Definitions are looked at on their own: a class is not told by how its methods follow each other.
            yield [s for s in code if not isinstance(s, _Function | ast.ClassDef | ast.Import | ast.ImportFrom)]


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)


def _described(node: ast.AST, known: dict[ast.AST, list[str]]) -> list[str]:
    """The structure of a node from top to bottom; a variable's name stands in it after _VARIABLE."""
    if node not in known:
        parts: list[str] = [type(node).__name__]
        for field, value in ast.iter_fields(node):
            if field not in _SILENT_FIELDS and not (field == "name" and isinstance(node, _Function)):
                for item in value if isinstance(value, list) else [value]:
                    parts += _described_value(item, known)
        known[node] = parts
    return known[node]


def _described_value(value: Any, known: dict[ast.AST, list[str]]) -> list[str]:
    match value:
        case None | ast.expr_context():
            return []
        case ast.Name():
            return [value.id if value.id in _KEPT_NAMES else _VARIABLE + value.id]
        case ast.arg():
            return [_VARIABLE + value.arg]
        case ast.Constant(value=str() | bytes()) | ast.JoinedStr():
            return ["text"]
        case ast.Constant():
            return [repr(value.value)]
        case ast.AST():
            return _described(value, known)
    return [str(value)]


def _renamed(parts: list[str]) -> _Signature:
    """Variables by the order in which they appear."""
    numbers: dict[str, str] = {}
    return tuple(numbers.setdefault(part, f"variable {len(numbers)}") if part[:1] == _VARIABLE else part for part in parts)
