"""The notebook's check cell: the same words about what the notebook has defined."""

from __future__ import annotations

import linecache

import pytest

from autograder.checking.check import check_notebook


def _run_cell(source: str, namespace: dict[str, object], number: int) -> None:
    """As IPython does: each cell is compiled under a name of its own, whose lines linecache knows."""
    filename = f"/tmp/ipykernel_1/{number}.py"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), namespace)


@pytest.fixture
def namespace(desk):
    made: dict[str, object] = {"__name__": "__main__"}
    _run_cell(desk.solution.read_text(), made, 1)
    return made


def test_right_functions_pass(desk, capsys, namespace):
    check_notebook("masks", namespace)
    out = capsys.readouterr().out
    assert "3 of 3 public tests pass." in out
    assert "--pdb" not in out


def test_the_line_is_named_by_the_cell_that_holds_it(desk, capsys, namespace):
    _run_cell("def padding_mask(token_ids, pad_id):\n    return token_ids.no_such_thing\n", namespace, 2)
    check_notebook("masks", namespace)
    out = capsys.readouterr().out
    assert "line 2 of the cell that defines padding_mask   return token_ids.no_such_thing" in out
    assert "2 of 3 public tests pass (1 failed)." in out


def test_a_stub_in_a_notebook_fails_kindly(desk, capsys, namespace):
    _run_cell("def padding_mask(token_ids, pad_id):\n    raise NotImplementedError('not implemented yet: padding_mask')\n", namespace, 2)
    check_notebook("01_masks", namespace)
    assert "not implemented yet: padding_mask" in capsys.readouterr().out


def test_a_cell_that_was_not_run_is_named(desk, capsys, namespace):
    del namespace["padding_mask"]
    check_notebook("masks", namespace)
    assert "The notebook does not define padding_mask: run the cell that does." in capsys.readouterr().out


def test_the_notebooks_own_names_stay_as_they_are(desk, namespace):
    before = dict(namespace)
    check_notebook("masks", namespace)
    assert namespace == before


def test_an_unknown_name_is_said(desk, capsys, namespace):
    check_notebook("maskz", namespace)
    assert "there is no assignment 'maskz' here" in capsys.readouterr().out
