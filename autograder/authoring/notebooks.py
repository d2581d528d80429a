"""Make the notebook form of an assignment from its reference solution, its handout and its questions.

There are two versions of the same cells: the student's, and the instructor's, which holds the solution and the model answers
between nbgrader's markers and of which `nbgrader generate_assignment` makes the student's again.

Cells that carry `metadata.nbgrader` without a grade make up the solution's file when they are put one after the other; cells tagged
"practice" (checking, drawing) and answers to questions are no part of it.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_notebook

from autograder.authoring import notebook_cells as cells_of
from autograder.authoring.stubs import BEGIN, END, find_regions, stub_source
from autograder.course.course import Assignment
from autograder.course.questions import Question, load_questions

_CHECKING = "How to check your work"
_DRAWING = "Draw it"
_AFTER_THE_CODE = (_CHECKING, _DRAWING, "What the points are for", "Further reading")
_CODE_FENCE = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_COMMENT_WIDTH = 140

_CHECK_TEXT = """## {checking}

Run all cells above, then this one. It runs the public tests on the functions and classes of this notebook and says in words
what is wrong and where. Save the notebook before you hand it in."""

_CHECK_CODE = """import sys
from pathlib import Path

here = Path.cwd().resolve()
for folder in (here, *here.parents):
    if (folder / "autograder" / "checking" / "check.py").is_file():
        sys.path.insert(0, str(folder))
        break
try:
    from autograder.checking.check import check_notebook
except ModuleNotFoundError as missing:
    print(f"Nothing was checked: Python finds no {{missing.name}} here. Keep this notebook in the course's folder, in", file=sys.stderr)
    print("assignments/{folder}, and open it with the course's environment. It can be handed in all the same.", file=sys.stderr)
else:
    check_notebook("{name}", globals())"""

_DRAWING_CODE = """try:
{code}
except NotImplementedError as error:
    plt.close("all")
    print(f"Nothing to draw yet ({{error}}).")
except ModuleNotFoundError as missing:
    print(f"Nothing is drawn: Python finds no {{missing.name}} here; `pip install {{missing.name}}` brings it.")"""

_QUESTIONS_TEXT = """## Questions

A person reads and grades your answers to these. Answer in the cell below each, which you may change as you like: a text in Markdown
(formulas between dollar signs), a figure by code that draws it. The code may use what you wrote above, and matplotlib."""


def notebook_source(name: str, reference_source: str, handout: str, questions: Sequence[Question] = (), folder: str = "") -> str:
    """Text of the student's NAME.ipynb. The same input gives the same bytes."""
    return _notebook(name, reference_source, handout, questions, folder, solved=False)


def source_notebook(repository: Path, assignment: Assignment) -> str:
    """Text of the instructor's version, for `source/` of an nbgrader course. It holds the solution: students must never get it."""
    reference, handout = (path.read_text(encoding="utf-8") for path in (assignment.reference(repository), assignment.handout(repository)))
    return _notebook(assignment.name, reference, handout, load_questions(repository, assignment.name), assignment.folder, solved=True)


def split_handout(handout: str) -> tuple[str, dict[str, str]]:
    """The part before the first `## ` heading, and the sections by heading, each with its heading line."""
    parts = re.split(r"^(?=## )", handout, flags=re.MULTILINE)
    sections = {part.splitlines()[0].removeprefix("## ").strip(): part.strip() for part in parts[1:]}
    return parts[0].strip(), sections


def cleared(cell_type: str, grade_id: str, source: str) -> str:
    """What a student gets of a cell of the instructor's version that is to be written."""
    return cells_of.placeholder(cell_type) if grade_id.startswith("question-") else stub_source(source).strip("\n")


def _notebook(name: str, reference: str, handout: str, questions: Sequence[Question], folder: str, *, solved: bool) -> str:
    title, sections = split_handout(handout)
    cells = [cells_of.text("handout", title)]
    cells += [cells_of.text(_slug(heading), text) for heading, text in sections.items() if heading not in _AFTER_THE_CODE]
    cells += _code_cells(reference, solved=solved)
    if _CHECKING in sections:
        cells.append(cells_of.text("check-text", _CHECK_TEXT.format(checking=_CHECKING)))
        cells.append(cells_of.check("check", _CHECK_CODE.format(name=name, folder=folder or name)))
    cells += _drawing_cells(sections.get(_DRAWING, ""))
    cells += _question_cells(questions, solved=solved)
    cells += [cells_of.text(_slug(heading), sections[heading]) for heading in _AFTER_THE_CODE[2:] if heading in sections]
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook = new_notebook(cells=cells, metadata=metadata)
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)
    return text.rstrip("\n") + "\n"


def _code_cells(reference: str, *, solved: bool) -> list[Any]:
    """The imports first, then a cell for each function or class; what is given is read-only."""
    to_write = {region.function.split(".")[0] for region in find_regions(reference) if region.function}
    imports: list[str] = []
    parts: list[list[str]] = []  # of each cell: its name, its text
    helpers: list[str] = []  # the solution's own, which have no cell in what a student gets
    for statement, text in _pieces(reference):
        name = getattr(statement, "name", "")
        if statement is None:
            written = [part for part in parts if part[0] in to_write]
            if written:
                written[-1][1] += f"\n\n\n{text}"
            else:
                helpers.append(text)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            imports.append(text)
        elif name in to_write:
            parts.append([name, "\n\n\n".join([*helpers, text])])
            helpers.clear()
        else:
            parts.append([name or f"given-{len(parts) + 1}", text])
    cells = [cells_of.given("imports", "\n".join(imports))]
    for name, text in parts:
        if name in to_write:
            cells.append(cells_of.solution(name, text if solved else cleared("code", name, text)))
        else:
            cells.append(cells_of.given(name, text))
    return cells


def _pieces(reference: str) -> Iterator[tuple[ast.stmt | None, str]]:
    """The module's statements with their text, comments before each included; None for a region of helpers at the top of the module."""
    lines = reference.splitlines()
    regions = find_regions(reference)
    done = 0  # lines that have a piece
    for statement in ast.parse(reference).body:
        last = statement.end_lineno or statement.lineno
        if last <= done:
            continue
        touched = [region for region in regions if done < region.begin_line < last]
        end = max([last, *(region.end_line for region in touched)])  # the closing marker comes after the last statement
        helpers = any(region.indent == 0 for region in touched)
        text = "\n".join(lines[done:end]).strip("\n")
        done = end
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):  # the docstring; the handout says the same
            yield None if helpers else statement, text


def _drawing_cells(section: str) -> list[Any]:
    cells = []
    for number, part in enumerate(_CODE_FENCE.split(section.strip() + "\n" if section else "")):
        if part.strip() and number % 2:
            code = textwrap.indent(part.strip(), "    ")
            cells.append(cells_of.practice(f"draw-{number}", _DRAWING_CODE.format(code=code)))
        elif part.strip():
            cells.append(cells_of.text(f"draw-text-{number}", part.strip()))
    return cells


def _question_cells(questions: Sequence[Question], *, solved: bool) -> Iterator[Any]:
    if questions:
        yield cells_of.text("questions", _QUESTIONS_TEXT)
    for number, question in enumerate(questions, 1):
        points = f"{question.points:g} {'point' if question.points == 1 else 'points'}"
        yield cells_of.asked(question, f"### Question {number} ({points})\n\n{question.prompt}\n\n**What the points are for**\n\n{question.rubric}")
        yield cells_of.answer(question, _model_answer(question) if solved else cells_of.placeholder(question.cell_type))


def _model_answer(question: Question) -> str:
    text = question.answer
    if question.cell_type == "code":
        text = "".join(
            part if number % 2 else textwrap.indent("\n".join(_wrapped(part)), "# ", lambda _: True) + "\n" if part.strip() else ""
            for number, part in enumerate(_CODE_FENCE.split(question.answer + "\n"))
        ).rstrip("\n")
    return f"{BEGIN}\n{text}\n{END}"


def _wrapped(text: str) -> Iterator[str]:
    for line in text.strip().splitlines():
        yield from textwrap.wrap(line, _COMMENT_WIDTH, break_long_words=False) or [""]


def _slug(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")[:64]
