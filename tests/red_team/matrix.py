"""Which layer stops which attack: every attack under each layer alone, under none, and under all."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from expectations import EXPECTED
from targets import Targets
from trial import HARMS_OTHERS, aim_of, attempt, grader_under
from warm_grader import ROOT

from autograder.course.course import load_course
from autograder.grading.paths import HIDDEN_TESTS
from autograder.hidden_tests.rules import rules_of
from autograder.sandbox.zygote import LAYERS

DOCUMENT = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- attacks: begin -->", "<!-- attacks: end -->"
# Under "off" a worker has its process, the wire and its limits; under "none" no privileges besides.
COLUMNS = {
    "off": "process, wire, limits",
    "none": "+ no privileges",
    "bubblewrap": "+ bubblewrap",
    "landlock": "+ Landlock",
    "seccomp": "+ filter",
    "+".join(LAYERS): "all",
}
ALL = "+".join(LAYERS)
HELD = "x"
Matrix = dict[str, dict[str, tuple[str, ...]]]  # breaches by attack and layers
Cells = dict[str, dict[str, str]]  # the same as the table says it


def measure(attacks: Iterable[str], columns: Iterable[str], progress: Callable[[str], None] = lambda _words: None) -> Matrix:
    """Layers that this machine does not give are left out."""
    attacks = list(attacks)
    found: Matrix = {name: {} for name in attacks}
    targets = Targets.set_up()
    try:
        for layers in columns:
            waiting = list(attacks)
            while waiting:
                waiting = _try(waiting, layers, found, targets, progress)
    finally:
        targets.close()
    return found


def _try(attacks: list[str], layers: str, found: Matrix, targets: Targets, progress: Callable[[str], None]) -> list[str]:
    """Try these with one forking process, until one of them harms it. Returns those that are left."""
    with grader_under(layers) as (grader, mode):
        given = grader._zygotes.of(mode, rules_of("attention")).isolation.layers
        if layers not in ("off", "none") and not set(layers.split("+")) <= set(given):
            progress(f"{layers}: this machine does not give it")
            return []
        for position, name in enumerate(attacks, 1):
            breaches = attempt(name, EXPECTED[name], targets, grader, mode).breaches
            found[name][layers] = breaches
            progress(f"{layers}: {name}: {', '.join(breaches) or 'held'}")
            if set(breaches) & HARMS_OTHERS:
                return attacks[position:]
    return []


def cell(breaches: tuple[str, ...]) -> str:
    return "" if breaches else HELD


def cells_of(found: Matrix) -> Cells:
    return {name: {layers: cell(breaches) for layers, breaches in row.items()} for name, row in found.items()}


def markdown(cells: Cells) -> str:
    columns = [layers for layers in COLUMNS if any(layers in row for row in cells.values())]
    held = sum(row.get(ALL) == HELD for row in cells.values())
    needed = sum(row.get("none") == "" for row in cells.values())
    lines = [
        f"{len(cells)} attacks: {held} get nothing. {needed} are not stopped by the process, the wire, the limits and no privileges alone.",
        "",
        "| attack | what it tries | " + " | ".join(COLUMNS[layers] for layers in columns) + " |",
        "|---|---|" + ":-:|" * len(columns),
    ]
    for name, row in sorted(cells.items()):
        lines.append(f"| `{name}` | {escaped(aim_of(name))} | " + " | ".join(row.get(layers, "?") for layers in columns) + " |")
    return "\n".join(lines) + f"\n\nPoints that rest on what a worker counts of itself:\n\n{resting_on_counts()}"


def escaped(text: str) -> str:
    return re.sub(r"([|<>*_`\[\]])", r"\\\1", text)


def resting_on_counts() -> str:
    """The tests whose points rest on what a worker counts of itself, by assignment."""
    lines = ["| assignment | points | of | tests |", "|---|--:|--:|---|"]
    for assignment in load_course(ROOT / "course.toml").assignments:
        source = (HIDDEN_TESTS / f"test_{assignment.name}.py").read_text(encoding="utf-8")
        tree = ast.parse(source)
        counted = [node for node in tree.body if isinstance(node, ast.FunctionDef) and ".measuring()" in (ast.get_source_segment(source, node) or "")]
        if counted:
            points = sum(_points(node) for node in counted)
            names = ", ".join(f"`{node.name}`" for node in counted)
            lines.append(f"| {assignment.folder} | {points:g} | {assignment.points:g} | {names} |")
    return "\n".join(lines) + "\n"


def _points(test: ast.FunctionDef) -> float:
    """The argument of its mark `points`, 1 without."""
    for mark in test.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.points":
            return float(ast.literal_eval(mark.args[0]))
    return 1.0


def documented(path: Path = DOCUMENT) -> Cells:
    """The table as it stands in the document: cells by attack and layers."""
    text = path.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    lines = text.split("\nPoints that rest")[0].splitlines()
    rows = [re.split(r" ?(?<!\\)\| ?", line)[1:-1] for line in lines if line.startswith("|")]
    by_title = {title: layers for layers, title in COLUMNS.items()}
    columns = [by_title[title] for title in rows[0][2:]]
    return {row[0].strip("`"): dict(zip(columns, (entry.strip() for entry in row[2:]), strict=True)) for row in rows[2:]}


def write(table: str, path: Path = DOCUMENT) -> None:
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{table}{END}{rest.split(END)[1]}", encoding="utf-8")
