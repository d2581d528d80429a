"""What a notebook's reading makes of everything that students and editors do to one, and the sentence that says so."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograder.checking.notebook import NotebookError, NotebookSolution, place_of, read_notebook

STUB = """from __future__ import annotations
import torch


def halve(x):
    raise NotImplementedError("not implemented yet: halve")


class Scale(torch.nn.Module):
    pass
"""
UNWRITTEN = 'def halve(x):\n    raise NotImplementedError("not implemented yet: halve")'
SCALE = "class Scale:\n    pass"


def cell(source: Any, grade_id: str = "", kind: str = "code", *, practice: bool = False, **nbgrader: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"tags": ["practice"]} if practice else {}
    if grade_id:
        metadata["nbgrader"] = {"grade_id": grade_id, "solution": True, "grade": False, "locked": False, "schema_version": 3} | nbgrader
    return {"cell_type": kind, "source": source, "metadata": metadata}


def read(*cells: Any, stub: str = STUB, **top: Any) -> NotebookSolution:
    return read_notebook(json.dumps({"cells": list(cells), "nbformat": 4, **top}), "scaling", stub)


def refused(text: str) -> str:
    with pytest.raises(NotebookError) as caught:
        read_notebook(text, "scaling", STUB)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(solution: NotebookSolution) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(compile(solution.source, "solution", "exec"), found)
    return found


def test_what_is_as_it_was_given_has_no_remark() -> None:
    solution = read(
        cell("import torch", "imports", locked=True, solution=False), cell("def halve(x):\n    return x / 2", "halve"), cell(SCALE, "Scale")
    )
    assert solution.notes == ()
    assert names(solution)["halve"](3) == 1.5


def test_what_runs_something_is_left_out_and_said() -> None:
    solution = read(
        cell(
            "SIZE = 2\nRATE = float('0.5')\nLIMITS = {}\n"
            "def halve(x):\n    return x * RATE\nplt.plot(halve(3)); plt.show()\nloss = train()\nbest = loss",
            "halve",
        ),
        cell(SCALE + "\nfor _ in range(3):\n    Scale()\nhalve(1);\nassert halve(2) == 1", "Scale"),
    )
    found = names(solution)
    assert (found["SIZE"], found["RATE"]) == (2, 0.5)
    assert not {"loss", "best"} & set(found)
    assert solution.notes == (
        "Lines 6, 7 and 8 of cell halve run something (plt.plot, plt.show and train) and were left out: only what a cell defines is taken.",
        "Lines 3, 5 and 6 of cell Scale run something (halve) and were left out: only what a cell defines is taken.",
    )


def test_a_library_for_drawing_that_nothing_graded_needs_is_not_imported() -> None:
    solution = read(
        cell("import no_such_library as plt\ndef halve(x):\n    return x / 2\ndef draw(x):\n    plt.plot(x)", "halve"), cell(SCALE, "Scale")
    )
    assert "no_such_library" not in solution.source
    assert names(solution)["halve"](3) == 1.5


def test_an_assignment_that_tries_a_function_does_not_hide_it() -> None:
    solution = read(
        cell("def halve(x):\n    return x / 2\nhalve = halve(3)", "halve"), cell(SCALE + "\nScale.size = 3\nScale = staticmethod(Scale)", "Scale")
    )
    assert callable(names(solution)["halve"])
    assert solution.notes == ("Line 3 of cell halve runs something (halve) and was left out: only what a cell defines is taken.",)
    assert isinstance(names(solution)["Scale"], staticmethod)


def test_commands_of_the_notebook() -> None:
    source = """%matplotlib inline
files = !ls \\
   -l
%time RATE = 0.5
total = %timeit -o f()
def halve(x):
    !echo "don't
    %time y = x * RATE
    text = '''
!kept
%kept'''
    return y, files, text, (7
        % 4)
halve?
!pip install x"""
    solution = read(cell(source, "halve"), cell("%%time\n" + SCALE, "Scale"))
    assert names(solution)["halve"](3) == (1.5, None, "\n!kept\n%kept", 3)
    assert solution.notes == (
        "Line 2 of cell halve is a shell line, which is not run; files is None.",
        "Line 5 of cell halve is %timeit, which is not run; total is None.",
        "Lines 1, 7, 14 and 15 of cell halve are for the notebook alone (%matplotlib, a shell line and a question for help).",
        "Line 1 of cell Scale is for the notebook alone (%%time).",
    )


def test_prompts_indentation_and_await() -> None:
    solution = read(cell(">>> def halve(x):\n...     return x / 2", "halve"), cell("  class Scale:\n      size = 3\n  x = await f()", "Scale"))
    assert names(solution)["Scale"].size == 3
    assert "await" not in solution.source


def test_copies_the_last_counts_but_no_stub_hides_what_is_written() -> None:
    one, two = "def halve(x):\n    return 1", "def halve(x):\n    return 2"
    solution = read(cell(one, "halve"), cell(SCALE, "Scale"), cell(two, "halve"))
    assert names(solution)["halve"](0) == 2
    assert solution.notes == ("halve is defined in cell halve (number 1) and cell halve (number 3); the last counts, as after Restart & Run All.",)
    solution = read(cell(one, "halve"), cell(SCALE, "Scale"), cell(UNWRITTEN, "halve"))
    assert names(solution)["halve"](0) == 1
    assert solution.notes == ("The stub of halve in cell halve (number 3) was passed over: cell halve (number 1) holds the written one.",)


@pytest.mark.parametrize("own", [{}, {"practice": True}])
def test_a_solution_in_another_cell_counts_where_its_own_is_lost_or_still_the_stub(own: Any) -> None:
    written = cell("def halve(x):\n    return x / 2\ncheck_notebook('scaling', globals())", **own)
    lost = read(cell(SCALE, "Scale"), written)
    assert lost.notes[0] == "halve was taken from cell 2, since its own cell is missing."
    stub = read(cell(UNWRITTEN, "halve"), cell(SCALE, "Scale"), written)
    assert stub.notes[0] == "halve was taken from cell 3, since cell halve still holds the stub."
    for solution in (lost, stub):
        assert names(solution)["halve"](3) == 1.5
        assert "check_notebook" not in solution.source
    both = read(cell("def halve(x):\n    return 7", "halve"), cell(SCALE, "Scale"), written)
    assert names(both)["halve"](3) == 7
    assert both.notes == ("Cell 3 defines halve again; the course's own cell counts.",)


def test_a_lost_cell_is_named_and_an_answer_is_never_run() -> None:
    answer = cell("def halve(x):\n    return x / 2\nprint(1)", "question-a", grade=True)
    solution = read(cell(SCALE, "Scale"), answer)
    assert "halve" not in names(solution)
    assert solution.notes == (
        "No cell defines halve: its cell is missing or not finished.",
        "halve is defined in cell question-a, which answers a question and is never part of the solution; move it.",
    )


def test_what_the_solution_uses_of_own_cells_is_taken_and_nothing_else() -> None:
    own = cell("import math\nimport json\ndef factor():\n    return math.sqrt(0.25)\ndef other():\n    pass\nprint(factor())")
    solution = read(cell("def halve(x):\n    return x * factor()", "halve"), cell(SCALE, "Scale"), own)
    assert names(solution)["halve"](3) == 1.5
    assert "other" not in solution.source
    assert "json" not in solution.source
    assert solution.notes == ("Of cell 3, which is not one of the course's, the solution uses math and factor; that was taken.",)


def test_a_definition_below_its_use_is_put_above_it() -> None:
    solution = read(cell("class Scale(Base):\n    pass", "Scale"), cell("class Base:\n    size = 3\ndef halve(x):\n    return x / 2", "halve"))
    assert names(solution)["Scale"].size == 3
    assert solution.notes == ("Base stood below a cell that needs it, and was put above it; Restart & Run All stops there.",)


def test_a_cell_with_a_mistake_costs_that_cell_alone() -> None:
    solution = read(cell("def halve(x)\n    return x / 2", "halve"), cell("def f():\n    pass\nreturn 3\n" + SCALE, "Scale"))
    assert "Scale" in names(solution)
    assert "Cell halve is not valid Python (line 1): nothing of it was taken." in solution.notes


def test_a_cell_that_became_text_is_read_as_code_and_one_of_the_shell_is_not() -> None:
    solution = read(
        cell("def halve(x):\n    return x / 2", "halve", "markdown"), cell("%%bash\n" + SCALE, "Scale"), cell("# Scaling", kind="markdown")
    )
    assert names(solution)["halve"](3) == 1.5
    assert solution.notes == (
        "No cell defines Scale: its cell is missing or not finished.",
        "Cell halve is no code cell any more; it was read as one.",
        "Cell Scale begins with %%bash and is no Python: nothing of it was taken.",
    )


def test_without_metadata_what_is_asked_for_is_taken_from_all_cells() -> None:
    solution = read(
        cell("import torch\nimport matplotlib"),
        cell("def halve(x):\n    return x / 2\nhalve(3)"),
        cell(SCALE),
        cell("def draw():\n    matplotlib.draw()\ndraw()"),
    )
    assert names(solution)["halve"](3) == 1.5
    assert "matplotlib" not in solution.source
    assert solution.notes == (
        "No cell has the course's metadata, which an editor must have dropped; what the assignment asks for was taken from all code cells.",
    )


def test_a_given_cell_that_was_changed_counts_as_handed_in() -> None:
    given_cell = cell("import torch\nRATE = 3", "imports", locked=True, solution=False)
    solution = read(given_cell, cell("def halve(x):\n    return RATE", "halve"), cell(SCALE, "Scale"))
    assert names(solution)["halve"](0) == 3
    assert solution.notes == ("Cell imports was given and has been changed; it counts as you handed it in.",)


def test_lines_are_named_by_their_cells() -> None:
    solution = read(
        cell("import torch\n", "imports"),
        cell("# Half.\n\nplt.plot()\ndef halve(x):\n    return torch.no_such(x)", "halve"),
        cell("\n\n" + SCALE, "Scale"),
    )
    lines = solution.source.split("\n")
    assert place_of(solution.places, lines.index("    return torch.no_such(x)") + 1) == "line 5 of cell halve"
    assert place_of(solution.places, lines.index("class Scale:") + 1) == "line 3 of cell Scale"
    assert place_of((), 3) == ""


@pytest.mark.parametrize(
    "notebook",
    [
        {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["def halve(x):\n", "    return x / 2"], "language": "python"}]}]},
        {"nbformat": 2, "worksheets": [{"cells": [{"cell_type": "code", "input": "def halve(x): return x / 2"}]}, 3, {}]},
        {"nbformat": 1, "cells": [{"cell_type": "code", "code": "def halve(x): return x / 2"}]},
        {"nbformat": 5, "cells": [cell("def halve(x): return x / 2", "halve")]},
        {"cells": [cell("def halve(x): return x / 2", "halve", schema_version=1)], "metadata": None},
        {"cells": [cell("def halve(x):\r\n  return x / 2", "halve")], "metadata": {"kernelspec": 3, "language_info": {"name": "ipython"}}},
        {"cells": [3, None, {"source": 3, "cell_type": []}, {"cell_type": "code", "metadata": None, "source": "def halve(x): return x / 2"}]},
        {"cells": [cell("def halve(x): return x / 2", "halve")] + [cell("x", kind="code")] * 1_900},
    ],
)
def test_other_formats_and_odd_parts_are_read(notebook: Any) -> None:
    assert names(read_notebook(json.dumps(notebook), "scaling", STUB))["halve"](3) == 1.5


def test_python_in_a_notebooks_place_is_read_as_python() -> None:
    solution = read_notebook("def halve(x):\r\n    return x / 2\n")
    assert solution.source == "def halve(x):\n    return x / 2\n"
    assert solution.notes == ("The file is called a notebook and is plain Python; it was read as Python.",)


WHOLE = json.dumps({"cells": [cell("def halve(x): return x / 2", "halve")]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "does not hold JSON"),
        (WHOLE[:60], "breaks off at the end of the file"),
        (WHOLE[:-1], "breaks off at the end of the file"),
        (WHOLE.replace("source", 'a"b'), "its JSON is broken in line 1"),
        ("{\n<<<<<<< HEAD\n" + WHOLE, "marks of a merge"),
        ('{"nbformat": 5}', "newer than 4"),
        ('{"nbformat": 4}', "no list of cells"),
        ("[" * 200_000, "does not hold JSON"),
        ('{"cells": [' + "[]," * 6_000_000 + "0]}", "too many numbers or objects"),
        ('{"a": ' + "9" * 5000 + "}", "JSON"),
        (json.dumps({"cells": [0] * 10_001}), "holds 10,001 cells"),
        (json.dumps({"cells": [{"cell_type": "code", "source": "#" * 300_001}]}), "300,000 characters"),
        (json.dumps({"cells": [cell("a = 1; " * 1_000, "a"), cell("a = 1; " * 1_001, "b")]}), "2,000 statements"),
        ("<!DOCTYPE html><p>" + WHOLE, "is a web page"),
        ('{"cells": [' + '""' * 3_000_000 + "," * 6_000_000, "JSON is broken in line 1"),
        (json.dumps({"cells": [cell("x <- 5")], "metadata": {"language_info": {"name": "R"}}}), "is a notebook of R and not of Python"),
        (json.dumps({"cells": [cell("def f(): pass", "f"), cell("check_notebook('masks', globals())")]}), "of another assignment (masks)"),
        (json.dumps({"cells": [cell("x = '\ud800'", "halve")]}), "no Python file can hold"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(text: str, words: str) -> None:
    assert words in refused(text)


def test_remarks_are_few_short_and_never_repeat_what_a_cell_holds() -> None:
    evil = "<script>alert(1)</script>\x1b[2J"
    cells = [cell(f"print('{evil}')\n%{evil}\n!{evil}\nx{number} = !{evil}", f"{evil}{number}") for number in range(200)]
    solution = read(cell("def halve(x): return 1\nх = f(1)\nｅvil()", "halve"), *cells, metadata={"language_info": {"name": evil}})
    assert len(solution.notes) == 13
    assert solution.notes[-1].startswith("And ")
    for note in solution.notes:
        assert note.isascii()
        assert note.isprintable()
        assert "<" not in note
        assert len(note) < 300


def test_large_outputs_are_read() -> None:
    output = {"data": {"image/png": "A" * 5_000_000, "text/html": "<td>1,2</td>" * 100_000}}
    lines = {"text": ["a line: 1, 2, 3\n"] * 200_000}
    big = cell("def halve(x): return x / 2", "halve") | {"outputs": [output, output, lines]}
    assert names(read(big, cell(SCALE, "Scale")))["halve"](3) == 1.5


SOURCES = st.lists(
    st.sampled_from(
        ["def halve(x):", "    return x / 2", "class Scale(Base):", "    pass", "x = !ls \\", "%time y = halve(3)", "%%bash",
         "'''", "(", ")", "halve?", "a = 1; f()",
         "f(); b = 2;", "@f", "import torch", "from a import *", "from __future__ import annotations", "await f()", "return",
         "\0", "\ud800", "\\", ">>> x", "é = ü()"]
    ) | st.text(max_size=8),
    max_size=8,
).map("\n".join)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["cells", "source", "metadata", "nbgrader", "cell_type"]), inner, max_size=4)
    ),
    max_leaves=6,
)
FLAGS = st.sampled_from(["grade_id", "solution", "grade", "locked", "task"])
CELLS = st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "code", "code", "markdown", "raw"]) | VALUES,
        "source": SOURCES | st.lists(SOURCES, max_size=2) | VALUES,
        "metadata": st.fixed_dictionaries(
            {"nbgrader": st.dictionaries(FLAGS, st.booleans() | st.sampled_from(["halve", "question-a"]))}
        ) | VALUES,
    }
)  # fmt: skip
NOTEBOOKS = (
    st.fixed_dictionaries({"cells": st.lists(CELLS, max_size=5) | VALUES, "nbformat": st.integers(1, 6) | VALUES, "metadata": VALUES}) | VALUES
)


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(notebook=NOTEBOOKS, cut=st.integers(-3, 0), stub=st.sampled_from(["", STUB]))
def test_any_notebook_gives_python_a_cells_own_text_or_one_sentence(notebook: Any, cut: int, stub: str) -> None:
    text = json.dumps(notebook)
    text = text[:cut] if cut else text
    try:
        solution = read_notebook(text, "scaling", stub)
    except NotebookError:
        return
    for note in solution.notes:
        assert note.isascii()
        assert note.isprintable()
    for line in range(solution.source.count("\n") + 2):
        place_of(solution.places, line)
    try:
        ast.parse(solution.source)
    except SyntaxError:
        assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for place in solution.places for node in _parsed(solution, place.line))


def _parsed(solution: NotebookSolution, line: int) -> list[ast.stmt]:
    """Statements of the piece that begins at `line`, none where it does not parse: it is a cell's text as it stands then."""
    ends = [place.line - 1 for place in solution.places if place.line > line]
    try:
        return ast.parse("\n".join(solution.source.split("\n")[line - 1 : min(ends, default=None)])).body
    except SyntaxError:
        return []
