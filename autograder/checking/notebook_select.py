"""Which statements of a notebook make up the solution, and in which order.

Functions and classes of the course's own cells count. Of everything else (imports, constants, blocks, the student's own cells) what
these need is taken. What only runs something is left out. Where a name has several definitions, the rule is that of Restart & Run
All, the last one counts, except that no unwritten stub hides a written definition.
"""

from __future__ import annotations

import builtins
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from autograder.checking.notebook_json import Cell
from autograder.checking.notebook_statements import Kind, ReadCell, Statement

_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__annotations__", "__builtins__", "__module__", "__qualname__"}
_MAX_CHAIN = 50


class Role(Enum):
    COURSE = "course"  # to be written or given, by nbgrader's metadata
    OWN = "own"  # without metadata
    PRACTICE = "practice"  # checks, draws or tests
    ANSWER = "answer"  # to a question that a person grades: never part of the solution
    TEXT = "text"


def role_of(cell: Cell) -> Role:
    nbgrader = cell.nbgrader
    if cell.kind != "code":
        is_code = nbgrader is not None and nbgrader.get("cell_type", "code") == "code" and not nbgrader.get("grade") and not nbgrader.get("task")
        return Role.COURSE if is_code else Role.TEXT
    if nbgrader is None:
        return Role.PRACTICE if cell.practice else Role.OWN
    grade_id = nbgrader.get("grade_id")
    if isinstance(grade_id, str) and grade_id.startswith("question-"):
        return Role.ANSWER
    return Role.PRACTICE if nbgrader.get("grade") or nbgrader.get("task") else Role.COURSE


@dataclass(frozen=True)
class Selection:
    """What is taken, in order. `elsewhere`: names whose definitions stand in another cell than the course's, which is unwritten or missing."""

    taken: tuple[Statement, ...]
    moved: tuple[Statement, ...]
    elsewhere: dict[str, Statement]


@dataclass
class Selector:
    """wanted: names that the assignment asks for; without any, all that the course's cells define."""

    cells: Sequence[tuple[ReadCell, Role]]
    wanted: Collection[str]
    elsewhere: dict[str, Statement] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index: dict[Statement, int] = {}
        self._binders: dict[str, dict[Role, list[Statement]]] = defaultdict(lambda: defaultdict(list))
        self._providers: dict[str, list[Statement]] = {}
        for cell, role in self.cells:
            for statement in cell.statements:
                self._index[statement] = len(self._index)
                if statement.kind in (Kind.IMPORT, Kind.DEFINITION, Kind.ASSIGNMENT, Kind.BLOCK):
                    for name in statement.binds:
                        self._binders[name][role].append(statement)

    def select(self) -> Selection:
        course = [statement for cell, role in self.cells if role is Role.COURSE for statement in cell.statements]
        roots = set(self.wanted)
        begin = [statement for statement in course if self._is_a_root(statement)]
        if not self.wanted:
            roots |= {name for statement in begin for name in statement.binds}
        taken = self._closure(begin, roots)
        order, moved = self._ordered(taken)
        return Selection(tuple(order), tuple(moved), {name: found for name, found in self.elsewhere.items() if found in taken})

    def _is_a_root(self, statement: Statement) -> bool:
        """Whether a statement of a course's cell is taken without being needed."""
        if statement.kind is Kind.DEFINITION:
            return statement in self.providers(statement.name) and (statement.name in self.wanted or not self.unknown_names(statement))
        if statement.kind is Kind.ASSIGNMENT:
            return not statement.calls and not statement.at_once
        return statement.kind is Kind.IMPORT and (not self.wanted or "*" in statement.binds)

    def unknown_names(self, statement: Statement) -> list[str]:
        """What a definition needs at once and no cell has: a cell of another assignment, pasted here, would stop all else."""
        if not self.wanted or "*" in self._binders:
            return []
        return sorted(name for name in statement.at_once - _BUILTINS if not self.providers(name))

    def definitions(self, name: str, *roles: Role) -> list[Statement]:
        return [found for role in roles for found in self._binders[name][role] if found.name == name] if name in self._binders else []

    def providers(self, name: str) -> list[Statement]:
        """The statements that give `name` its value; a block that draws or checks is one only where there is no other."""
        if name not in self._providers:
            found = self._find_providers(name)
            self._providers[name] = [statement for statement in found if not statement.runs] or found
        return self._providers[name]

    def _find_providers(self, name: str) -> list[Statement]:
        course = self._binders[name][Role.COURSE] if name in self._binders else []
        stubs = [found for found in course if found.name == name and found.unwritten]
        if course and (not stubs or len(stubs) < len(course)):
            written = any(found.name == name and not found.unwritten for found in course)
            return [found for found in course if not (written and found in stubs)]
        for role in (Role.OWN, Role.PRACTICE):
            found = [each for each in self.definitions(name, role) if not each.unwritten]
            if not course and not found and name in self._binders:
                others = self._binders[name][role]
                found = [each for each in others if each.kind is Kind.IMPORT or role is Role.OWN]
            if found:
                if name in self.wanted or course:
                    self.elsewhere[name] = found[-1]
                return found
        return course

    def _closure(self, begin: Iterable[Statement], roots: Iterable[str]) -> set[Statement]:
        taken: set[Statement] = set()
        reached: set[str] = set()
        waiting = list(roots)

        def take(statement: Statement, *, whole: bool) -> None:
            taken.add(statement)
            waiting.extend(statement.at_once | (statement.later if whole else frozenset()))

        for statement in begin:
            take(statement, whole=False)
        while waiting:
            name = waiting.pop()
            if name in reached:
                continue
            reached.add(name)
            for statement in self.providers(name):
                take(statement, whole=True)
        unknown = any(not self.providers(name) for name in reached - _BUILTINS)
        if unknown and "*" in self._binders:
            taken.update(self._binders["*"][Role.OWN])
        return taken

    def _ordered(self, taken: set[Statement]) -> tuple[list[Statement], list[Statement]]:
        """As they stand in the notebook, but for a definition that another one before it needs at once."""
        placed: dict[Statement, None] = {}
        moved: list[Statement] = []
        needed: dict[str, list[Statement]] = {}

        def place(statement: Statement, chain: int) -> None:
            if statement in placed or chain > _MAX_CHAIN:
                return
            for name in sorted(statement.at_once):
                if name not in needed:
                    needed[name] = [each for each in self.providers(name) if each in taken]
                if needed[name] and self._index[needed[name][0]] > self._index[statement]:
                    for each in needed[name]:
                        if each not in placed:
                            place(each, chain + 1)
                            moved.append(each)
            placed.setdefault(statement)

        for statement in sorted(taken, key=self._index.__getitem__):
            place(statement, 0)
        return list(placed), moved
