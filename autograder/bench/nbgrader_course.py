"""`nbgrader autograde` on a course made for the purpose: one cell for the solution, one for each hidden test."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.bench.checks import hidden_tests
from autograder.bench.contestants import Contestant
from autograder.bench.figures import Sample
from autograder.bench.other_tools import environment
from autograder.bench.population import NAME, Entry
from autograder.bench.process_tree import CommandError, run_measured

CONFIG = """c = get_config()
c.CourseDirectory.course_id = "benchmark"
c.CourseDirectory.root = {root!r}
c.ExecutePreprocessor.timeout = 300
"""
_READ_POINTS = """
import json, sys
from nbgrader.api import Gradebook
with Gradebook(sys.argv[1], "benchmark") as gradebook:
    points = {submission.student.id: {grade.cell.name: grade.auto_score or 0.0 for notebook in submission.notebooks for grade in notebook.grades}
              for submission in gradebook.assignment_submissions(sys.argv[2])}
print(json.dumps(points))
"""


class Nbgrader(Contestant):
    key = "nbgrader"
    title = "nbgrader autograde"

    def __init__(self, python: Path) -> None:
        self._python = python

    def grade(self, entries: Sequence[Entry], folder: Path) -> Sample:
        variables = environment(
            JUPYTERCONFIG_DIR=str(folder / "jupyter"), JUPYTER_DATA_DIR=str(folder / "jupyter"), IPYTHONDIR=str(folder / "ipython")
        )
        (folder / "nbgrader_config.py").write_text(CONFIG.format(root=str(folder)), encoding="utf-8")
        _write(folder / "source" / NAME / f"{NAME}.ipynb", make_notebook("# YOUR CODE HERE"))
        self._run_aside([self._python, "-m", "nbgrader", "generate_assignment", NAME], folder, variables)
        for entry in entries:
            _write(folder / "submitted" / entry.student / NAME / f"{NAME}.ipynb", make_notebook(entry.source))
        usage = run_measured([self._python, "-m", "nbgrader", "autograde", NAME], variables, folder, self._log(folder))
        told = self._run_aside([self._python, "-c", _READ_POINTS, f"sqlite:///{folder / 'gradebook.db'}", NAME], folder, variables)
        return Sample(len(entries), usage, json.loads(told.strip().splitlines()[-1]))

    def _run_aside(self, command: Sequence[str | Path], folder: Path, variables: dict[str, str]) -> str:
        """What is not measured."""
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise CommandError(f"{' '.join(map(str, command[1:4]))} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        return done.stdout


def make_notebook(solution: str) -> dict[str, Any]:
    cells = [_cell("solution", solution, {"grade": False, "solution": True, "locked": False})]
    for test in hidden_tests():
        source = f"from autograder.bench.checks import check\n\ncheck({test.id!r}, globals())"
        cells.append(_cell(test.id, source, {"grade": True, "solution": False, "locked": True, "points": test.points}))
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _cell(name: str, source: str, marks: dict[str, Any]) -> dict[str, Any]:
    nbgrader = {"schema_version": 3, "grade_id": name, "task": False, "cell_type": "code"} | marks
    return {"cell_type": "code", "id": name[:64], "metadata": {"nbgrader": nbgrader}, "execution_count": None, "outputs": [], "source": source}


def _write(path: Path, notebook: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")
