"""The solution inside a submitted notebook: its cells' code, put together without running anything.

The grader and the students' own tools read a notebook by this one way; docs/instructor.md says what becomes of what.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from autograder.checking.notebook_assemble import assemble
from autograder.checking.notebook_commands import parsed
from autograder.checking.notebook_json import MAX_CODE, Cells, NoJSONError, NotebookError, load_cells
from autograder.checking.notebook_select import Role, Selector, role_of
from autograder.checking.notebook_statements import Kind, ReadCell, read_cells
from autograder.checking.notebook_words import Labels, Remarks

__all__ = ["NotebookError", "NotebookSolution", "Place", "place_of", "read_notebook", "solution_source", "top_level_names"]

_FUTURE = re.compile(r"^[ \t]*from[ \t]+__future__[ \t]+import\b.*\bannotations\b", re.MULTILINE)
_CHECKED = re.compile(r"""\bcheck_notebook\(\s*["']([A-Za-z_]\w{0,39})["']""", re.ASCII)


@dataclass(frozen=True)
class Place:
    """From `line` of the source on, until the next place, stand lines of a cell from `cell_line` on."""

    line: int
    cell_line: int
    cell: str


@dataclass(frozen=True)
class NotebookSolution:
    """`notes` say in a sentence each what was not taken as it stands; they are for the student and safe to show."""

    source: str
    notes: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()


def place_of(places: Sequence[Place], line: int) -> str:
    """Where a line of the source stands in the notebook, "line 3 of cell padding_mask"; "" when in no cell."""
    position = bisect_right([place.line for place in places], line) - 1
    if position < 0:
        return ""
    place = places[position]
    return f"line {line - place.line + place.cell_line} of {place.cell}"


def solution_source(text: str) -> str:
    """Code of the solution cells in their order. Raises NotebookError."""
    return read_notebook(text).source


def top_level_names(stub: str) -> frozenset[str]:
    """The functions, classes and constants at the top of a file."""
    tree = parsed(stub)
    names: set[str] = set()
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(names)


def read_notebook(text: str, name: str = "", stub: str = "", wanted: Collection[str] = ()) -> NotebookSolution:
    """The solution that a notebook's text holds. Raises NotebookError and nothing else.

    name: the assignment's, "attention". wanted: what it asks for, beside all that its `stub` has at the top; with neither, all that
    the course's cells define is taken.
    """
    try:
        loaded = load_cells(text)
    except NoJSONError:
        tree = parsed(text) if len(text) <= MAX_CODE else None
        if tree is None or not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body):
            raise
        source = text.replace("\r\n", "\n").replace("\r", "\n")
        return NotebookSolution(source, ("The file is called a notebook and is plain Python; it was read as Python.",))
    return _Reader(loaded, name, stub, frozenset(wanted) | top_level_names(stub)).read()


class _Reader:
    def __init__(self, loaded: Cells, name: str, stub: str, wanted: frozenset[str]) -> None:
        self.loaded, self.name, self.stub, self.wanted = loaded, name, stub, wanted
        future = any(cell.kind == "code" and _FUTURE.search(cell.source) for cell in loaded.cells)
        roles = [(cell, role_of(cell)) for cell in loaded.cells if cell.source.strip()]
        roles = [(cell, role) for cell, role in roles if role is not Role.TEXT]
        cells = zip(read_cells((cell for cell, _ in roles), future=future), (role for _, role in roles), strict=True)
        self.cells = [(read, role) for read, role in cells if read.cell.kind == "code" or _defines_something(read)]
        self.has_metadata = any(role is Role.COURSE for _, role in self.cells)
        if not self.has_metadata and not self._own_cells_define_what_is_wanted():
            self.cells = [(read, Role.COURSE if role is Role.OWN else role) for read, role in self.cells]
        self.selector = Selector(self.cells, wanted)

    def read(self) -> NotebookSolution:
        found = {name for name in self.wanted if self.selector.providers(name)}
        if self.wanted and not found:
            self._refuse_another_assignment()
        selection = self.selector.select()
        broken = [read for read, role in self.cells if role is Role.COURSE and read.error_line is not None]
        whole = [] if any(statement.kind is Kind.DEFINITION for statement in selection.taken) else broken
        features = self._features()
        source, pieces = assemble(selection.taken, features, whole)
        if "\0" in source or any("\ud800" <= character <= "\udfff" for character in source):
            raise NotebookError("holds a character that no Python file can hold (NUL, or half of a surrogate pair); write its cell again.")
        if not pieces or (self.loaded.language and not any(statement.kind is Kind.DEFINITION for statement in selection.taken)):
            language = f" of {self.loaded.language}" if self.loaded.language else ""
            what = f"is a notebook{language} and not of Python, and holds no" if language else "holds no"
            raise NotebookError(f"{what} solution cell; the cells of the course's notebook must stay in it.")
        remarks = Remarks(self.loaded, self.cells, self.selector, selection, self.wanted)
        notes = remarks.all(self.stub, metadata=self.has_metadata, whole=whole)
        label = Labels(self.loaded.cells).of
        return NotebookSolution(source, notes, tuple(Place(piece.line, piece.cell_line, label(piece.cell)) for piece in pieces))

    def _own_cells_define_what_is_wanted(self) -> bool:
        selector = Selector(self.cells, self.wanted)
        return any(selector.definitions(name, Role.OWN) for name in self.wanted)

    def _features(self) -> list[str]:
        """IPython keeps a feature for all cells that follow."""
        nodes = [
            statement.node for read, role in self.cells if role is not Role.ANSWER for statement in read.statements if statement.kind is Kind.FUTURE
        ]
        return list(dict.fromkeys(entry.name for node in nodes if isinstance(node, ast.ImportFrom) for entry in node.names if entry.asname is None))

    def _refuse_another_assignment(self) -> None:
        for read, _ in self.cells:
            checked = _CHECKED.search(read.cell.source)
            if checked is not None and self.name and checked[1] != self.name:
                raise NotebookError(f"is the notebook of another assignment ({checked[1]}); hand in the one of {self.name}.")


def _defines_something(read: ReadCell) -> bool:
    return any(statement.kind is Kind.DEFINITION for statement in read.statements)
