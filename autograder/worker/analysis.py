"""Reads a submission's source without running it: what it defines, and where it uses what it was asked to write.

Runs in a fresh worker *before* the submission does, so that its answer can be believed, and so that a source made to hurt a
parser hurts only a process that is thrown away.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any

# Modules that an honest solution has no use for: named in the report for a person to look at, never a verdict.
UNUSUAL_MODULES = frozenset(
    """
    asyncio atexit builtins cffi code codecs codeop concurrent ctypes dill dis faulthandler fcntl ftplib gc glob http imp importlib inspect
    io linecache marshal mmap multiprocessing os pathlib pickle pkgutil pty pytest resource runpy shelve shutil signal site socket sqlite3
    ssl subprocess sys sysconfig tempfile threading tracemalloc unittest urllib weakref zipimport autograder nbgrader
    """.split()
)
# Parts of torch and numpy that lead around what an exercise forbids; modules that they import lead further (torch.os), and so does what is private.
_UNUSUAL_PARTS = frozenset("ao attrgetter ctypeslib export f2py fx hub jit library load nested ops overrides package".split()) | UNUSUAL_MODULES
_UNUSUAL_BUILTINS = frozenset("__builtins__ __import__ compile eval exec globals open vars".split())
_UNUSUAL_ATTRIBUTES = frozenset(
    """
    __base__ __bases__ __builtins__ __closure__ __code__ __dict__ __globals__ __import__ __loader__ __mro__ __subclasses__ __wrapped__
    cell_contents f_back f_builtins f_globals f_locals gi_frame tb_frame
    """.split()
)
_MAX_FLAGS = 20


def analyse(source: str, filename: str, forbidden: Iterable[str]) -> dict[str, Any]:
    """JSON-able findings.

    forbidden: dotted names ("torch.nn.functional.scaled_dot_product_attention"); what lies below one is forbidden too.
    Returns `syntax_error` [line, message] or None, `defined` (names at the top of the module), `tainted`
    {definition: [forbidden name, line]} for definitions that use a forbidden name, themselves or through one another, and
    `flags` [line, words].
    """
    try:
        tree = ast.parse(source, filename)
    except SyntaxError as error:
        return {"syntax_error": [error.lineno or 1, str(error.msg)[:200]], "defined": [], "tainted": {}, "flags": []}
    statements = [statement for statement in tree.body if not _only_as_script(statement)]
    aliases = _aliases(tree)
    uses: dict[str, tuple[str, int]] = {}
    mentions: dict[str, set[str]] = {}
    for statement in statements:
        found = next(_forbidden_uses(statement, aliases, frozenset(forbidden)), None)
        for name in _names_bound_by(statement):
            mentions.setdefault(name, set()).update(_names_in(statement))
            if found is not None and not isinstance(statement, ast.Import | ast.ImportFrom):
                uses.setdefault(name, found)
    return {
        "syntax_error": None,
        "defined": sorted(mentions),
        "tainted": {name: list(use) for name, use in _spread(uses, mentions).items()},
        "flags": [[line, words] for line, words in sorted(set(_unusual(tree, aliases)))[:_MAX_FLAGS]],
    }


def _only_as_script(statement: ast.stmt) -> bool:
    """`if __name__ == "__main__":`, which never runs here."""
    test = statement.test if isinstance(statement, ast.If) else None
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _aliases(tree: ast.Module) -> dict[str, str]:
    """What each imported or plainly assigned name stands for: {"F": "torch.nn.functional"}."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for entry in node.names:
                aliases[entry.asname or entry.name.split(".")[0]] = entry.name if entry.asname else entry.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for entry in node.names:
                aliases[entry.asname or entry.name] = f"{node.module}.{entry.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            dotted = _dotted(node.value, aliases)
            if dotted and dotted.startswith("torch."):
                aliases.setdefault(node.targets[0].id, dotted)
    return aliases


def _dotted(node: ast.AST, aliases: dict[str, str]) -> str | None:
    """The full name that an expression like `F.softmax` or `getattr(F, "softmax")` stands for, as far as the text tells."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, aliases)
        return f"{owner}.{node.attr}" if owner else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) >= 2:
        owner, attribute = _dotted(node.args[0], aliases), node.args[1]
        if owner and isinstance(attribute, ast.Constant) and isinstance(attribute.value, str):
            return f"{owner}.{attribute.value}"
    return None


def _forbidden_uses(statement: ast.stmt, aliases: dict[str, str], forbidden: frozenset[str]) -> Iterator[tuple[str, int]]:
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom | ast.Import):
            continue  # importing is not using; the name that it binds is followed
        dotted = _dotted(node, aliases)
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


def _unusual(tree: ast.Module, aliases: dict[str, str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            assigned = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            yield from ((node.lineno, words) for words in _unusual_part(_dotted(node, aliases), assigned))
        if isinstance(node, ast.Import):
            for entry in node.names:
                if entry.name.split(".")[0] in UNUSUAL_MODULES:
                    yield node.lineno, f"imports {entry.name.split('.')[0]}"
        elif isinstance(node, ast.ImportFrom):
            root = (node.module or "").split(".")[0]
            if node.level or root in UNUSUAL_MODULES:
                yield node.lineno, "imports from its own folder" if node.level else f"imports {root}"
        elif isinstance(node, ast.Name) and node.id in _UNUSUAL_BUILTINS:
            yield node.lineno, f"uses {node.id}"
        elif isinstance(node, ast.Attribute) and node.attr in _UNUSUAL_ATTRIBUTES:
            yield node.lineno, f"uses {node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr" and not _of_literal(node.args):
            yield node.lineno, "uses getattr with a name made at run time"


def _of_literal(arguments: list[ast.expr]) -> bool:
    return len(arguments) > 1 and isinstance(arguments[1], ast.Constant)


def _unusual_part(dotted: str | None, assigned: bool) -> Iterator[str]:
    """Words for what a full name like "torch.os.path" reaches of torch and numpy, down to the first part that is unusual."""
    parts = (dotted or "").split(".")
    if parts[0] not in ("torch", "numpy"):
        return
    if assigned:
        yield f"changes {dotted}"
    for position, part in enumerate(parts[1:], 2):
        if part in _UNUSUAL_PARTS or (part.startswith("_") and not part.endswith("__")):
            yield f"uses {'.'.join(parts[:position])}"
            return
