"""Reads a submission's source without running it: what it defines, and where it uses what it was asked to write.

Runs in a fresh worker *before* the submission does, so that its answer can be believed, and so that a source made to hurt a
parser hurts only a process that is thrown away.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any

from autograder.worker.names import aliases_of, dotted_name
from autograder.worker.unusual import first_of_each, intrusive, native, outside_torch, uncounted, unusual

_NOTHING: dict[str, Any] = {"defined": [], "tainted": {}, "flags": [], "outside_torch": [], "native": [], "intrusive": [], "uncounted": []}


def analyse(source: str, filename: str, forbidden: Iterable[str]) -> dict[str, Any]:
    """JSON-able findings.

    forbidden: dotted names ("torch.nn.functional.scaled_dot_product_attention"); what lies below one is forbidden too.
    Returns `syntax_error` [line, message] or None, `defined` (names at the top of the module), `tainted`
    {definition: [forbidden name, line]} for definitions that use a forbidden name, themselves or through one another,
    and lists of [line, words]: `flags`, for a person to look at; `outside_torch`, flags that matter where costs are counted; `native`,
    what runs machine code, after which no ban holds; `intrusive`, by what a submission can reach the objects of its worker; `uncounted`,
    what can change or escape a count of costs.
    """
    try:
        tree = ast.parse(source, filename)
    except SyntaxError as error:
        return {**_NOTHING, "syntax_error": [error.lineno or 1, str(error.msg)[:200]]}
    statements = [statement for statement in tree.body if not _only_as_script(statement)]
    aliases = aliases_of(tree)
    uses: dict[str, tuple[str, int]] = {}
    mentions: dict[str, set[str]] = {}
    for statement in statements:
        found = next(_forbidden_uses(statement, aliases, frozenset(forbidden)), None)
        for name in _names_bound_by(statement):
            mentions.setdefault(name, set()).update(_names_in(statement))
            if found is not None and not isinstance(statement, ast.Import | ast.ImportFrom):
                uses.setdefault(name, found)
    remarks, leaving = unusual(tree, aliases), outside_torch(tree, aliases)
    run = ast.Module(statements, [])
    in_force = unusual(run, aliases)
    return {
        "syntax_error": None,
        "defined": sorted(mentions),
        "tainted": {name: list(use) for name, use in _spread(uses, mentions).items()},
        "flags": first_of_each(remarks),
        "outside_torch": first_of_each(leaving),
        "native": first_of_each(native(in_force)),
        "intrusive": first_of_each(intrusive(in_force)),
        "uncounted": first_of_each(uncounted(in_force, outside_torch(run, aliases))),
    }


def _only_as_script(statement: ast.stmt) -> bool:
    """`if __name__ == "__main__":` without an else, which never runs here. Nothing like it: other comparisons do run."""
    match statement:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]), orelse=[]):
            return True
    return False


def _forbidden_uses(statement: ast.stmt, aliases: dict[str, str], forbidden: frozenset[str]) -> Iterator[tuple[str, int]]:
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom | ast.Import):
            continue  # importing is not using; the name that it binds is followed
        dotted = dotted_name(node, aliases)
        while dotted:
            if dotted in forbidden:
                yield dotted, getattr(node, "lineno", statement.lineno)
                break
            dotted = dotted.rpartition(".")[0]


def _names_bound_by(statement: ast.stmt) -> set[str]:
    """Names that a top-level statement binds; nested ones of if, try and with included."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(_root(node))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(entry.asname or entry.name.split(".")[0] for entry in node.names)
    return names


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _names_in(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _spread(uses: dict[str, tuple[str, int]], mentions: dict[str, set[str]]) -> dict[str, tuple[str, int]]:
    """A definition that mentions a tainted one is tainted by the same use."""
    tainted = dict(uses)
    grew = True
    while grew:
        grew = False
        for name, others in mentions.items():
            cause = next((tainted[other] for other in sorted(others) if other in tainted), None)
            if name not in tainted and cause is not None:
                tainted[name] = cause
                grew = True
    return tainted
