"""The texts of a release that depend on which assignments are in it: the index of the assignments and the course's rules."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from autograder.course.course import Assignment, Course
from autograder.release.errors import ReleaseError

_TABLE = re.compile(r"^\| assignment \|.*\n\|[-| ]+\|\n(?:\|.*\n)*", re.MULTILINE)


def assignments_index(readme: str, assignments: Sequence[Assignment], stubs: Mapping[str, str]) -> str:
    """assignments/README.md with a table of these assignments alone. `stubs` holds the stub of each, by its folder."""
    rows = [_row(assignment, stubs[assignment.folder]) for assignment in assignments]
    table = "".join(["| assignment | you write | check it |\n", "|---|---|---|\n", *rows])
    text, count = _TABLE.subn(lambda _: table, readme)
    if count != 1:
        raise ReleaseError(f"assignments/README.md holds {count} tables of assignments; expected one that begins with '| assignment |'")
    return text


def left_open(stub: str) -> list[str]:
    """Functions and classes of the stub that say "not implemented yet", in their order."""
    return [
        statement.name
        for statement in ast.parse(stub).body
        if isinstance(statement, ast.FunctionDef | ast.ClassDef)
        and any(isinstance(node, ast.Raise) and _says_so(node) for node in ast.walk(statement))
    ]


def _says_so(node: ast.Raise) -> bool:
    return isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name) and node.exc.func.id == "NotImplementedError"


def _row(assignment: Assignment, stub: str) -> str:
    written = ", ".join(f"`{name}`" for name in left_open(stub))
    link = f"[{assignment.number} · {assignment.title}]({assignment.folder}/README.md)"
    return f"| {link} | {written} | `make check A={assignment.name}` |\n"


def course_rules(course: Course, assignments: Sequence[Assignment]) -> str:
    """A course.toml to read: what each assignment is worth, when it is due, what lateness costs, what a submission may use."""
    late, limits = course.late, course.limits
    lines = [
        "# What is graded, for how much and until when. It is here to be read: changing it changes nothing.",
        "",
        "[course]",
        f"id = {_quoted(course.id)}",
        f"title = {_quoted(course.title)}",
        "",
        "[late]",
        "# none: late work counts in full. percent: `percent_per_day` of the maximum for each day begun, up to `cap_percent`.",
        "# zero: late work counts nothing.",
        f"policy = {_quoted(late.policy)}",
        *([f"percent_per_day = {late.percent_per_day:g}", f"cap_percent = {late.cap_percent:g}"] if late.policy == "percent" else []),
        "",
        "[limits]",
        f"call_seconds = {limits.call_seconds:g}  # wall time for one call into a submission",
        f"submission_seconds = {limits.submission_seconds:g}  # wall time for one submission",
        f"cpu_seconds = {limits.cpu_seconds:g}",
        f"memory_bytes = {limits.memory_bytes}  # above what torch itself needs",
        f"source_bytes = {limits.source_bytes}  # a submitted Python file, and the solution inside a notebook",
        f"notebook_bytes = {limits.notebook_bytes}  # a submitted notebook, its outputs too",
    ]
    for assignment in assignments:
        lines += ["", "[[assignments]]", f"name = {_quoted(assignment.folder)}", f"title = {_quoted(assignment.title)}"]
        lines += [f"points = {assignment.points:g}", f"weight = {assignment.weight:g}"]
        lines += [f"due = {assignment.due:%Y-%m-%dT%H:%M:%SZ}"] if assignment.due is not None else []
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escapes.get(c, c if c.isprintable() else f"\\u{ord(c):04x}") for c in text) + '"'
