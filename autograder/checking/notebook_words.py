"""What a report says about the reading of a notebook: a sentence for each thing that was not taken as it stands.

Nothing that a cell holds is repeated but plain names, short and in ASCII.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence

from autograder.checking.notebook_commands import parsed
from autograder.checking.notebook_json import Cell, Cells
from autograder.checking.notebook_select import Role, Selection, Selector
from autograder.checking.notebook_statements import Kind, ReadCell, Statement

MAX_NOTES = 12
_MAX_LISTED = 4
_NAME = re.compile(r"[A-Za-z_]\w{0,39}", re.ASCII)


class Labels:
    """What a cell is called: by nbgrader's name where that is its own, else by its number, counted from the top with the text cells."""

    def __init__(self, cells: Iterable[Cell] = ()) -> None:
        self._uses = Counter(grade_id for _, grade_id in {(cell.number, cell.grade_id) for cell in cells})

    def of(self, cell: Cell) -> str:
        if not cell.grade_id:
            return f"cell {cell.number}"
        return f"cell {cell.grade_id}" if self._uses[cell.grade_id] == 1 else f"cell {cell.grade_id} (number {cell.number})"


class Remarks:
    def __init__(
        self, loaded: Cells, cells: Sequence[tuple[ReadCell, Role]], selector: Selector, selection: Selection, wanted: Collection[str]
    ) -> None:
        self._loaded, self._cells, self._selector, self._selection, self._wanted = loaded, cells, selector, selection, wanted
        self._taken = set(selection.taken)
        self._label = Labels(loaded.cells).of
        self._course_cells = {read for read, role in cells if role is Role.COURSE}

    def all(self, stub: str, *, metadata: bool, whole: Sequence[ReadCell]) -> tuple[str, ...]:
        notes = [*self._loaded.remarks]
        if self._loaded.language:
            notes.append(f"The notebook says that it is written in {self._loaded.language}; it was read as Python.")
        if not metadata:
            notes.append(
                "No cell has the course's metadata, which an editor must have dropped; what the assignment asks for was taken from all code cells."
            )
        notes += self._missing()
        notes += self._elsewhere() if metadata else []
        notes += self._doubled()
        notes += self._ignored()
        notes += self._own_cells() if metadata else []
        notes += self._given(stub)
        for read, role in self._cells:
            if role is Role.COURSE:
                notes += self._about(read, whole)
        notes += self._moved()
        more = len(notes) - MAX_NOTES
        return tuple(notes) if more <= 0 else (*notes[:MAX_NOTES], f"And {more:,} more remarks like these.")

    def _missing(self) -> list[str]:
        missing = sorted(name for name in self._wanted if not self._selector.providers(name))
        if not missing:
            return []
        one = len(missing) == 1
        notes = [f"No cell defines {_listed(missing)}: {'its cell is' if one else 'their cells are'} missing or not finished."]
        for name in missing[:_MAX_LISTED]:
            for found in self._selector.definitions(name, Role.ANSWER)[:1]:
                cell = self._label(found.cell.cell)
                notes.append(f"{_shown(name)} is defined in {cell}, which answers a question and is never part of the solution; move it.")
        return notes

    def _elsewhere(self) -> list[str]:
        notes = []
        for name, statement in sorted(self._selection.elsewhere.items()):
            course = self._selector.definitions(name, Role.COURSE)
            reason = f"{self._label(course[-1].cell.cell)} still holds the stub" if course else "its own cell is missing"
            notes.append(f"{_shown(name)} was taken from {self._label(statement.cell.cell)}, since {reason}.")
        return notes

    def _doubled(self) -> list[str]:
        notes = []
        for name in sorted({statement.name for statement in self._taken if statement.name}):
            of_course = [found for found in self._selector.definitions(name, Role.COURSE, Role.OWN) if found in self._taken]
            cells = list(dict.fromkeys(self._label(found.cell.cell) for found in of_course))
            if len(cells) > 1:
                notes.append(f"{_shown(name)} is defined in {_listed(cells)}; the last counts, as after Restart & Run All.")
            elif len(of_course) > 1 and len({found.node.lineno for found in of_course}) > 1 and not name.startswith("_"):
                notes.append(f"{_shown(name)} is defined {len(of_course)} times in {cells[0]}; the last counts.")
            unwritten = [found for found in self._selector.definitions(name, Role.COURSE) if found not in self._taken]
            if unwritten and of_course and name not in self._selection.elsewhere:
                stubs = list(dict.fromkeys(self._label(found.cell.cell) for found in unwritten))
                notes.append(f"The stub of {_shown(name)} in {_listed(stubs)} was passed over: {cells[-1]} holds the written one.")
        return notes

    def _ignored(self) -> list[str]:
        """Definitions of the student's own cells that stand behind those of the course's cells."""
        places: dict[str, list[str]] = defaultdict(list)
        for name in sorted({statement.name for statement in self._taken if statement.cell in self._course_cells and statement.name}):
            for found in self._selector.definitions(name, Role.OWN, Role.PRACTICE):
                if found not in self._taken:
                    places[self._label(found.cell.cell)].append(_shown(name))
        return [_sentence(f"{cell} defines {_listed(names)} again; the course's own cell counts.") for cell, names in places.items()]

    def _own_cells(self) -> list[str]:
        used: dict[ReadCell, list[str]] = defaultdict(list)
        elsewhere = set(self._selection.elsewhere.values())
        for read, role in self._cells:
            if role in (Role.OWN, Role.PRACTICE):
                for statement in read.statements:
                    if statement in self._taken and statement not in elsewhere:
                        used[read] += [_shown(name) if name != "*" else "import *" for name in sorted(statement.binds)]
        return [
            f"Of {self._label(read.cell)}, which is not one of the course's, the solution uses {_listed(dict.fromkeys(names))}; that was taken."
            for read, names in used.items()
        ]

    def _given(self, stub: str) -> list[str]:
        tree = parsed(stub)
        if tree is None or not tree.body:
            return []
        known = {_dumped(node) for node in tree.body}
        notes = []
        for read, role in self._cells:
            nbgrader = read.cell.nbgrader or {}
            given = role is Role.COURSE and nbgrader.get("locked") and not nbgrader.get("solution")
            if given and (read.error_line is not None or any(_dumped(statement.node) not in known for statement in read.statements)):
                notes.append(f"{self._label(read.cell)} was given and has been changed; it counts as you handed it in.")
        return [_sentence(note) for note in notes]

    def _about(self, read: ReadCell, whole: Sequence[ReadCell]) -> list[str]:
        cell, notes = self._label(read.cell), []
        if read.cell.kind != "code":
            notes.append(f"{cell} is no code cell any more; it was read as one.")
        if read.python.foreign:
            return [_sentence(f"{cell} begins with {read.python.foreign} and is no Python: nothing of it was taken.")]
        if read.error_line is not None and read not in whole:
            notes.append(f"{cell} is not valid Python (line {read.error_line}): nothing of it was taken.")
        for command in read.python.commands:
            if command.name:
                notes.append(f"Line {command.line} of {cell} is {command.words}, which is not run; {command.name} is None.")
        commands = [command for command in read.python.commands if not command.name]
        if commands:
            words = _listed(dict.fromkeys(command.words for command in commands))
            notes.append(f"{_lines(command.line for command in commands)} of {cell} {_are(commands)} for the notebook alone ({words}).")
        for statement in read.statements:
            unknown = self._selector.unknown_names(statement) if statement.kind is Kind.DEFINITION and statement not in self._taken else []
            if unknown:
                needs = _listed(dict.fromkeys(map(_shown, unknown)))
                notes.append(f"{_shown(statement.name)} in {cell} needs {needs}, which no cell defines, and was left out.")
        left = [statement for statement in read.statements if self._is_left_out(statement)]
        if left:
            called = _listed(dict.fromkeys(name for statement in left if (name := _callee(statement))))
            did = f" ({called})" if called else ""
            run, were = ("runs", "was") if len(left) == 1 else ("run", "were")
            lines = _lines(statement.first_line for statement in left)
            notes.append(f"{lines} of {cell} {run} something{did} and {were} left out: only what a cell defines is taken.")
        return [_sentence(note) for note in notes]

    def _is_left_out(self, statement: Statement) -> bool:
        return statement not in self._taken and statement.kind in (Kind.RUN, Kind.ASSIGNMENT, Kind.BLOCK)

    def _moved(self) -> list[str]:
        names = list(dict.fromkeys(_shown(name) for statement in self._selection.moved for name in sorted(statement.binds)))
        if not names:
            return []
        return [f"{_listed(names)} stood below a cell that needs it, and was put above it; Restart & Run All stops there."]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _shown(name: str) -> str:
    return name if _NAME.fullmatch(name) else "a name"


def _listed(words: Iterable[str]) -> str:
    words = list(words)
    shown = words[:_MAX_LISTED]
    if len(words) > len(shown):
        return f"{', '.join(shown)} and {len(words) - len(shown):,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def _lines(numbers: Iterable[int]) -> str:
    numbers = sorted(set(numbers))
    return f"Line {numbers[0]}" if len(numbers) == 1 else f"Lines {_listed(map(str, numbers))}"


def _are(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def _dumped(node: ast.AST) -> str:
    try:
        return ast.dump(node)
    except RecursionError:
        return "nested too deeply"


def _callee(statement: Statement) -> str:
    """`plt.plot` of a statement that begins with a call of it."""
    value = getattr(statement.node, "value", None)
    value = value.value if isinstance(value, ast.Await) else value
    parts: list[str] = []
    target = value.func if isinstance(value, ast.Call) else None
    while isinstance(target, ast.Attribute):
        parts.append(target.attr)
        target = target.value
    if not isinstance(target, ast.Name) or len(parts) > 3:
        return ""
    parts = [target.id, *reversed(parts)]
    return ".".join(parts) if all(_NAME.fullmatch(part) for part in parts) else ""
