"""What each statement of a cell binds and uses, found in its text; nothing is run."""

from __future__ import annotations

import ast
import symtable
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from autograder.checking.notebook_commands import PythonText, parsed, python_of
from autograder.checking.notebook_json import Cell, NotebookError

_FUTURE = "from __future__ import annotations\n"
_AT_ONCE = ("listcomp", "setcomp", "dictcomp", "genexpr", "lambda")
_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_NEVER_AT_THE_TOP = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom, ast.Return)
_MAX_STATEMENTS = 2000  # of all cells: some steps cost its square
_UNWRITTEN = "not implemented yet"


class Kind(Enum):
    FUTURE = "future"  # from __future__ import …
    IMPORT = "import"
    DEFINITION = "definition"
    ASSIGNMENT = "assignment"
    BLOCK = "block"  # if, try, with, for … that binds a name
    RUN = "run"  # does something and defines nothing
    TEXT = "text"  # a docstring, `pass`


@dataclass(eq=False)
class Statement:
    """at_once: names needed to run the statement; later: names that its functions look up when they are called."""

    cell: ReadCell
    node: ast.stmt
    kind: Kind
    binds: frozenset[str] = frozenset()
    at_once: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()
    calls: bool = False  # an assignment that calls something
    runs: bool = False  # a block that also calls something for what it does: one that draws, prints or checks
    unwritten: bool = False  # still the stub that was given out
    text: str = ""

    @property
    def name(self) -> str:
        return self.node.name if isinstance(self.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else ""

    @property
    def first_line(self) -> int:
        return _first_line(self.node)

    @property
    def last_line(self) -> int:
        return self.node.end_lineno or self.node.lineno


@dataclass(eq=False)
class ReadCell:
    """`error_line` is set where the cell is not valid Python; it has no statements then."""

    cell: Cell
    python: PythonText
    statements: list[Statement] = field(default_factory=list)
    error_line: int | None = None


def read_cells(cells: Iterable[Cell], *, future: bool) -> list[ReadCell]:
    """future: annotations are not evaluated, as after `from __future__ import annotations`. Raises NotebookError for too many statements."""
    read: list[ReadCell] = []
    left = _MAX_STATEMENTS
    for cell in cells:
        read.append(_read_cell(cell, left, future))
        left -= len(read[-1].statements)
    return read


def _read_cell(cell: Cell, most: int, future: bool) -> ReadCell:
    python = python_of(cell.source)
    tree = parsed(python.text)
    read = ReadCell(cell, python)
    if tree is None:
        read.error_line = _error_line(python.text)
        return read
    if len(tree.body) > most:
        raise NotebookError(f"holds more than {_MAX_STATEMENTS:,} statements in its cells; take out what is not needed.")
    lines = python.text.split("\n")
    try:
        for node in tree.body:
            segment = _segment(node, lines)
            statement = _statement(read, node, segment, future)
            statement.text = segment.rstrip("\n")
            read.statements.append(statement)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        read.statements, read.error_line = [], getattr(error, "lineno", None) or 1
    return read


def _error_line(text: str) -> int:
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(text)
    except SyntaxError as error:
        return max(1, error.lineno or 1)
    except (ValueError, RecursionError, MemoryError):
        pass
    return 1


def _statement(cell: ReadCell, node: ast.stmt, segment: str, future: bool) -> Statement:
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return Statement(cell, node, Kind.FUTURE)
    if isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return Statement(cell, node, Kind.TEXT)
    if any(isinstance(part, _NEVER_AT_THE_TOP) for part in _own_scope(node)):
        return Statement(cell, node, Kind.RUN)
    binds, at_once, later = _names(segment, future)
    if isinstance(node, ast.Import | ast.ImportFrom):
        return Statement(cell, node, Kind.IMPORT, frozenset({"*"}) if any(entry.name == "*" for entry in node.names) else binds)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return Statement(cell, node, Kind.DEFINITION, binds, at_once, later, unwritten=_is_unwritten(node))
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        binds |= {name for target in targets for name in _roots(target)}
        calls = any(isinstance(part, ast.Call) for part in _own_scope(node))
        if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id in binds:
            return Statement(cell, node, Kind.RUN)  # `mask = mask(4)` tries a function and hides it
        return Statement(cell, node, Kind.ASSIGNMENT, binds, at_once, later, calls)
    if binds and not isinstance(node, ast.Expr | ast.Delete):
        runs = any(isinstance(part, ast.Expr) and isinstance(part.value, ast.Call) for part in _own_scope(node))
        return Statement(cell, node, Kind.BLOCK, binds, at_once, later, calls=True, runs=runs)
    return Statement(cell, node, Kind.RUN, at_once=at_once)


def _names(segment: str, future: bool) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    with warnings.catch_warnings(action="ignore"):
        top = symtable.symtable((_FUTURE if future else "") + segment, "cell", "exec")
    symbols = [symbol for symbol in top.get_symbols() if not (future and symbol.get_name() == "annotations" and not symbol.is_referenced())]
    binds = frozenset(symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace())
    at_once = {symbol.get_name() for symbol in symbols if symbol.is_referenced()}
    later: set[str] = set()
    waiting = [(table, True) for table in top.get_children()]
    while waiting:
        table, now = waiting.pop()
        now = now and (table.get_type() == "class" or table.get_name() in _AT_ONCE)
        found = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
        (at_once if now else later).update(found)
        waiting += [(child, now) for child in table.get_children()]
    return binds, frozenset(at_once), frozenset(later)


def _own_scope(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when the statement runs: not the bodies of functions and classes."""
    waiting: list[ast.AST] = [node]
    while waiting:
        part = waiting.pop()
        yield part
        if not isinstance(part, _OWN_SCOPE):
            waiting += ast.iter_child_nodes(part)


def _roots(target: ast.expr) -> Iterator[str]:
    """`Model` of `Model.forward = …` and of `Model.table[3] = …`."""
    if isinstance(target, ast.Tuple | ast.List):
        for part in target.elts:
            yield from _roots(part)
    while isinstance(target, ast.Attribute | ast.Subscript | ast.Starred):
        target = target.value
    if isinstance(target, ast.Name):
        yield target.id


def _is_unwritten(node: ast.AST) -> bool:
    for part in ast.walk(node):
        if isinstance(part, ast.Raise) and isinstance(part.exc, ast.Call) and isinstance(part.exc.func, ast.Name):
            texts = [argument.value for argument in part.exc.args if isinstance(argument, ast.Constant)]
            if part.exc.func.id == "NotImplementedError" and any(isinstance(text, str) and text.startswith(_UNWRITTEN) for text in texts):
                return True
    return False


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _segment(node: ast.stmt, lines: list[str]) -> str:
    first = _first_line(node)
    last = node.end_lineno or node.lineno
    own = lines[first - 1 : last]
    own[-1] = own[-1].encode()[: node.end_col_offset].decode()
    if first == node.lineno:
        own[0] = own[0].encode()[node.col_offset :].decode()
    return "\n".join(own) + "\n"
