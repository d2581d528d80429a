"""A submission whose code is right gets full marks whatever an editor, a hurry or a merge did to its notebook, and the report says what was done.

Each file is read as the grader reads it. What a hostile notebook does to the reading comes after that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from autograder.checking.notebook import NotebookError, read_notebook
from autograder.reports.model import Outcome, Status
from autograder.submissions.read import Reading, read_submission

sys.path.append(str(Path(__file__).parent.parent / "grading"))
from toy import ASSIGNMENT, LIMITS, NAME, grade_toy

COURSE = Path(__file__).parents[2] / "assignments"
STUB = '''from __future__ import annotations

import torch
from torch import nn


def halve(x):
    raise NotImplementedError("not implemented yet: halve")


class Scale(nn.Module):
    """Given."""
'''
IMPORTS = "from __future__ import annotations\n\nimport torch\nfrom torch import nn"
HALVE = """def halve(x):
    if not x.is_floating_point():
        raise ValueError(f"x must be floating point, got {x.dtype}")
    return 0.5 * x"""
SCALE = """class Scale(nn.Module):
    def __init__(self, features, dropout=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(x * self.weight)"""
UNWRITTEN = 'def halve(x):\n    raise NotImplementedError("not implemented yet: halve")'
CHECK = 'from autograder.checking.check import check_notebook\n\ncheck_notebook("scaling", globals())'

Notebook = dict[str, Any]
Change = Callable[[Notebook], object]


def cell(source: Any, grade_id: str = "", **nbgrader: Any) -> dict[str, Any]:
    given = {"grade_id": grade_id, "grade": False, "solution": True, "locked": False, "task": False, "schema_version": 3}
    metadata = {"nbgrader": given | nbgrader} if grade_id else {}
    return {"cell_type": "code", "execution_count": 1, "id": f"id-{grade_id}", "metadata": metadata, "outputs": [], "source": source}


def notebook() -> Notebook:
    """As the course's, and solved: text, imports (2), halve (3), Scale (4), check (5), a question (6)."""
    text = {"cell_type": "markdown", "metadata": {}, "source": ["# Scaling\n"]}
    check = cell(CHECK) | {"metadata": {"tags": ["practice"]}}
    answer = cell("draw(halve)", "question-why", grade=True, points=1)
    cells = [text, cell(IMPORTS, "imports", solution=False, locked=True), cell(HALVE, "halve"), cell(SCALE, "Scale"), check, answer]
    return {"cells": cells, "metadata": {"kernelspec": {"name": "python3", "language": "python"}}, "nbformat": 4, "nbformat_minor": 5}


def hand_in(folder: Path, data: str | bytes | Notebook, name: str = "scaling.ipynb") -> Reading:
    place = folder / "ann" / ASSIGNMENT
    place.mkdir(parents=True, exist_ok=True)
    data = json.dumps(data) if isinstance(data, dict) else data
    (place / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return read_submission(place, NAME, LIMITS.source_bytes, STUB)


def put(number: int, source: str) -> Change:
    return lambda book: book["cells"][number - 1].update(source=source)


def add(at: int, *cells: dict[str, Any]) -> Change:
    return lambda book: book["cells"].__setitem__(slice(at - 1, at - 1), deepcopy(list(cells)))


def without_metadata(book: Notebook) -> None:
    for each in book["cells"]:
        each["metadata"] = {}
        each.pop("id", None)


def old_format(number: int) -> Change:
    def change(book: Notebook) -> None:
        cells = [{("input" if key == "source" else key): value for key, value in each.items()} for each in book.pop("cells")]
        book.update(nbformat=number, worksheets=[{"cells": cells}])

    return change


def move(first: int, to: int) -> Change:
    return lambda book: book["cells"].insert(to - 1, book["cells"].pop(first - 1))


def lose(number: int, *found: dict[str, Any]) -> Change:
    return lambda book: book["cells"].__setitem__(slice(number - 1, number), deepcopy(list(found)))


RUNS = "and {} left out: only what a cell defines is taken."
RESCUED: dict[str, tuple[Change, list[str]]] = {
    "as given": (lambda book: None, []),
    "magics and shell lines": (
        put(3, f"%matplotlib inline\n!pip install einops\n?torch.add\n{HALVE}\nhalve?"),
        ["Lines 1, 2, 3 and 8 of cell halve are for the notebook alone (%matplotlib, a shell line and a question for help)."],
    ),
    "a cell magic": (put(4, f"%%time\n{SCALE}"), ["Line 1 of cell Scale is for the notebook alone (%%time)."]),
    "a changed read-only cell": (put(2, IMPORTS + "\nimport math"), ["Cell imports was given and has been changed; it counts as you handed it in."]),
    "a copied cell": (
        add(4, cell(HALVE.replace("0.5", "2"), "halve"), cell(HALVE, "halve")),
        ["halve is defined in cell halve (number 3), cell halve (number 4) and cell halve (number 5); the last counts, as after Restart & Run All."],
    ),
    "a copy that is still the stub": (
        add(4, cell(UNWRITTEN, "halve")),
        ["The stub of halve in cell halve (number 4) was passed over: cell halve (number 3) holds the written one."],
    ),
    "a lost cell, written anew": (lose(3, cell(HALVE)), ["halve was taken from cell 3, since its own cell is missing."]),
    "written in a cell of one's own": (
        lose(3, cell(UNWRITTEN, "halve"), cell(HALVE)),
        ["halve was taken from cell 4, since cell halve still holds the stub."],
    ),
    "re-ordered cells": (move(2, 5), ["nn stood below a cell that needs it, and was put above it; Restart & Run All stops there."]),
    "two definitions in a cell": (
        put(3, f"def halve(x):\n    return x\n\n\n{HALVE}"),
        ["halve is defined 2 times in cell halve; the last counts."],
    ),
    "a definition in a scratch cell": (
        add(7, cell("def halve(x):\n    return x")),
        ["Cell 7 defines halve again; the course's own cell counts."],
    ),
    "plots and training": (
        put(4, f"{SCALE}\n\n\nmodel = Scale(3)\nfor step in range(10**9):\n    model(torch.ones(3))\nplt.plot([1]); plt.show()"),
        ["Lines 11, 12 and 14 of cell Scale run something (Scale, plt.plot and plt.show) " + RUNS.format("were")],
    ),
    "a main block": (put(3, f"{HALVE}\n\nif __name__ == '__main__':\n    halve(1)"), ["Line 6 of cell halve runs something " + RUNS.format("was")]),
    "constants and helpers of a scratch cell": (
        lambda book: (put(3, HALVE.replace("0.5 * x", "by(x)"))(book), add(3, cell("HALF = 0.5\ndef by(x):\n    return HALF * x"))(book)),
        ["Of cell 3, which is not one of the course's, the solution uses HALF and by; that was taken."],
    ),
    "an import in another cell": (
        lambda book: (put(3, HALVE.replace("0.5 * x", "math.sqrt(0.25) * x"))(book), add(6, cell("import math"))(book)),
        ["Of cell 6, which is not one of the course's, the solution uses math; that was taken."],
    ),
    "saved by an editor that drops metadata": (
        without_metadata,
        ["No cell has the course's metadata, which an editor must have dropped; what the assignment asks for was taken from all code cells."],
    ),
    "cells of another assignment": (
        add(5, cell("class Masks(Attention):\n    pass", "Masks")),
        ["Masks in cell Masks needs Attention, which no cell defines, and was left out."],
    ),
    "no kernel": (lambda book: book.update(metadata={}), []),
    "format 4.0": (lambda book: book.update(nbformat_minor=0), []),
    "format 4.9": (lambda book: book.update(nbformat_minor=9), []),
    "format 2": (old_format(2), ["The notebook is of the old format 2; its cells were read all the same."]),
    "format 3": (old_format(3), ["The notebook is of the old format 3; its cells were read all the same."]),
    "format 5": (
        lambda book: book.update(nbformat=5),
        ["The notebook says that it is of format 5, newer than 4; its cells were read as those of format 4."],
    ),
    "a kernel of R": (
        lambda book: book.update(metadata={"kernelspec": {"name": "ir", "language": "R"}}),
        ["The notebook says that it is written in R; it was read as Python."],
    ),
    "a cell turned to text": (lambda book: book["cells"][2].update(cell_type="raw"), ["Cell halve is no code cell any more; it was read as one."]),
}


def is_right(source: str) -> bool:
    """Of this file's own sources alone: they are run here."""
    found: dict[str, Any] = {"__name__": "solution"}
    exec(compile(source, "solution", "exec"), found)
    torch = found["torch"]
    half = torch.tensor([1.0, -2.0], dtype=torch.float64)
    with pytest.raises(ValueError, match="floating point"):
        found["halve"](torch.tensor([1]))
    return torch.equal(found["halve"](2 * half), half) and torch.equal(found["Scale"](2)(half), half)


@pytest.mark.parametrize("what", RESCUED)
def test_it_is_rescued_and_said(what: str, tmp_path: Path) -> None:
    change, remarks = RESCUED[what]
    book = notebook()
    change(book)
    reading = hand_in(tmp_path, book)
    assert (reading.status, list(reading.remarks)) == (Status.GRADED, remarks)
    assert is_right(reading.text)


def test_all_of_it_in_one_notebook_gets_full_marks_and_the_report_says_it(tmp_path: Path) -> None:
    book = notebook()
    for what in ("plots and training", "a copied cell", "a definition in a scratch cell", "format 5"):
        RESCUED[what][0](book)
    report = grade_toy(hand_in(tmp_path, book))
    assert report.score == report.max_score
    assert len(report.notes) == 4


def test_an_error_names_the_cell_and_its_line(tmp_path: Path) -> None:
    book = notebook()
    put(3, f"%matplotlib inline\n\n{HALVE.replace('0.5 * x', 'x.no_such()')}")(book)
    report = grade_toy(hand_in(tmp_path, book))
    failed = next(test for test in report.tests if test.outcome is Outcome.FAILED)
    assert "on line 6 of cell halve" in failed.message
    assert failed.place == "line 6 of cell halve"
    put(2, IMPORTS + "\nimport no_such_module")(book)
    put(3, HALVE.replace("0.5", "no_such_module.half"))(book)
    report = grade_toy(hand_in(tmp_path, book))
    assert (report.status, "line 5 of cell imports" in report.message) == (Status.BROKEN, True)
    put(2, IMPORTS)(book)
    put(3, "def halve(x)\n    return x")(book)
    assert "Cell halve is not valid Python (line 1): nothing of it was taken." in grade_toy(hand_in(tmp_path, book)).notes


WHOLE = json.dumps(notebook(), indent=1)


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf" + WHOLE.encode(), WHOLE.replace("\n", "\r\n").encode(), WHOLE.encode() + b"\n\n"])
def test_a_byte_order_mark_and_other_line_ends_do_not_matter(data: bytes, tmp_path: Path) -> None:
    reading = hand_in(tmp_path, data)
    assert reading.remarks == ()
    assert is_right(reading.text)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (WHOLE.replace('   "outputs"', '<<<<<<< HEAD\n   "outputs"', 1), "holds the marks of a merge that was not finished"),
        ("\n<!DOCTYPE html>\n<html><body>" + WHOLE, "is a web page and not a notebook"),
        (WHOLE[: len(WHOLE) // 2], "its JSON breaks off at the end of the file"),
        (WHOLE.encode("utf-16"), "is UTF-16 text"),
        (WHOLE.encode("utf-16-be"), "holds a NUL character"),
        (WHOLE.replace("# Scaling", "# Übung").encode("latin-1"), "not UTF-8"),
        ("I lost it", "does not hold JSON"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_rescued_is_said_with_what_to_do(data: str | bytes, words: str, tmp_path: Path) -> None:
    reading = hand_in(tmp_path, data)
    assert reading.status is Status.UNREADABLE
    assert reading.message.startswith("scaling.ipynb ")
    assert words in reading.message
    assert "\n" not in reading.message


@pytest.mark.parametrize("name", ["scaling-Copy1.ipynb", "scaling (1).ipynb", "scaling - Copy.ipynb", "Scaling.ipynb"])
def test_a_copys_name_is_named(name: str, tmp_path: Path) -> None:
    reading = hand_in(tmp_path, WHOLE, name)
    assert reading.status is Status.MISSING
    assert f"Rename {name} to scaling.ipynb and hand it in again." in reading.message


def test_fifty_megabytes_of_outputs_are_graded(tmp_path: Path) -> None:
    book = notebook()
    book["cells"][2]["outputs"] = [{"output_type": "display_data", "data": {"image/png": "A" * (1 << 20)}, "metadata": {}}] * 50
    assert is_right(hand_in(tmp_path, book).text)
    small = read_submission(tmp_path / "ann" / ASSIGNMENT, NAME, LIMITS.source_bytes, STUB, 1 << 20)
    assert "clear the outputs of its largest cells" in small.message


EVIL = "\x1b[2J<img src=x onerror=alert(1)>\u202e"


def hostile(**change: Any) -> Notebook:
    book = notebook()
    book["cells"][2].update(change)
    return book


@pytest.mark.parametrize(
    "book",
    [
        hostile(metadata=[EVIL]),
        hostile(metadata={"nbgrader": EVIL}),
        hostile(metadata={"nbgrader": {"grade_id": EVIL, "solution": True, "cell_type": [EVIL]}}),
        hostile(metadata={"nbgrader": {"grade_id": {"a": 1}, "solution": "yes", "points": -1e400, "locked": "../../hidden_tests"}}),
        hostile(metadata={"nbgrader": {"grade_id": "halve"}, "path": "../../hidden_tests/test_scaling.py", "tags": [EVIL]}),
        hostile(cell_type={"a": EVIL}, attachments=[EVIL], outputs=EVIL, execution_count=EVIL, id=[1]),
        hostile(attachments={"../../x.png": {"image/png": "A" * 100_000}}),
        hostile(source=[*([""] * 1_000_000), HALVE, 3, None]),
        notebook() | {"metadata": [EVIL], "nbformat": EVIL, EVIL: EVIL},
        notebook() | {"nbformat": 10**400, "metadata": {"kernelspec": {"language": EVIL}}},
    ],
)
def test_a_hostile_notebook_is_read_and_no_remark_repeats_what_it_holds(book: Notebook, tmp_path: Path) -> None:
    reading = hand_in(tmp_path, book)
    assert reading.status is Status.GRADED
    assert is_right(reading.text)
    for remark in reading.remarks:
        assert remark.isascii()
        assert not set(remark) & set("<>\x1b")


def test_cells_that_redefine_what_is_given_act_on_their_own_submission_alone(tmp_path: Path) -> None:
    book = notebook()
    add(7, cell("class Scale(nn.Module):\n    pass\ntorch.equal = lambda *a: True\nimport pytest; pytest.exit()"))(book)
    reading = hand_in(tmp_path, book)
    assert "torch.equal" not in reading.text
    assert reading.remarks == ("Cell 7 defines Scale again; the course's own cell counts.",)
    put(2, IMPORTS + "\nclass ValueError(Exception):\n    pass")(book)
    report = grade_toy(hand_in(tmp_path, book))
    assert report.notes[0] == "Cell 7 defines Scale again; the course's own cell counts."
    assert "Cell imports was given and has been changed; it counts as you handed it in." in report.notes


def _code(source: str) -> str:
    return json.dumps({"cells": [cell(source, "halve")]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_code("a = 1\n" * 2_001), "more than 2,000 statements"),
        (_code("def f(): 0\n" * 2_001), "more than 2,000 statements"),
        (_code("a=1;" * 75_001), "more than 300,000 characters"),
        (json.dumps({"cells": [{}] * 10_001}), "holds 10,001 cells"),
        ('{"cells": [' + "{}," * 3_000_000 + "{}]}", "too many numbers or objects"),
        ('{"cells": [' + "[" * 100_000 + "]" * 100_000 + "]}", "JSON"),
    ],
)
def test_what_would_cost_too_much_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(NotebookError) as caught:
        read_notebook(text, NAME, STUB)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    ["1+" * 40_000 + "1", "-" * 200_000 + "1", "(" * 200_000, "f" + "()" * 20_000, "lambda:" * 40_000 + "1", "[a " + "for a in b " * 2_000 + "]"],
)
def test_code_that_is_nested_deeply_stops_no_reader(expression: str, tmp_path: Path) -> None:
    book = notebook()
    add(7, cell(f"x = {expression}", "given", solution=False, locked=True))(book)
    reading = hand_in(tmp_path, book)
    assert is_right(reading.text)
    assert "Cell given was given and has been changed; it counts as you handed it in." in reading.remarks


def test_many_statements_in_another_order_are_read(tmp_path: Path) -> None:
    names = [f"x{number}" for number in range(600)]
    book = notebook()
    uses = ";".join(f"{name} = y{name}" for name in names)
    gives = ";".join(f"y{name} = 1" for name in names)
    put(3, f"{HALVE}\n{uses}\n{gives}\ndef total():\n    return [{', '.join(names)}]")(book)
    found: dict[str, Any] = {}
    exec(compile(hand_in(tmp_path, book).text, "solution", "exec"), found)
    assert callable(found["halve"])


@pytest.mark.parametrize("path", sorted(COURSE.glob("*/*.ipynb")), ids=lambda path: path.stem)
def test_a_course_notebook_without_metadata_is_read_as_with_it(path: Path) -> None:
    book, stub = json.loads(path.read_text()), path.with_suffix(".py").read_text()
    as_given = read_notebook(json.dumps(book), path.stem, stub)
    assert as_given.notes == ()
    without_metadata(book)
    assert read_notebook(json.dumps(book), path.stem, stub).source == as_given.source
