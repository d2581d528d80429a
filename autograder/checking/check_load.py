"""Import what a student hands in, a Python file or a notebook, for the tools that run the public tests."""

from __future__ import annotations

import linecache
import re
import tempfile
from pathlib import Path
from types import ModuleType

from autograder.checking.check_find import Target
from autograder.checking.check_run import CannotLoadError, load_solution, name_places
from autograder.checking.notebook import NotebookError, read_notebook
from autograder.checking.notebook_json import MAX_NOTEBOOK_BYTES

_ASKED_FOR = re.compile(r"\bsubmission\.([A-Za-z_]\w*)", re.ASCII)


def load_target(target: Target) -> tuple[ModuleType, tuple[str, ...]]:
    """The module, and how a notebook was read: as the grader reads it. Raises CannotLoadError."""
    if target.solution.suffix != ".ipynb":
        return load_solution(target.solution), ()
    filename = target.solution.name
    try:
        if target.solution.stat().st_size > MAX_NOTEBOOK_BYTES:
            raise CannotLoadError(f"{filename} has more than {MAX_NOTEBOOK_BYTES:,} bytes; clear the outputs of its largest cells.")
        asked_for = _ASKED_FOR.findall(target.tests.read_text(encoding="utf-8"))
        solution = read_notebook(target.solution.read_text(encoding="utf-8-sig"), target.name, wanted=asked_for)
    except NotebookError as error:
        raise CannotLoadError(f"{filename} {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CannotLoadError(f"{filename} cannot be read: {error}.") from None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{target.name}.py")
        path.write_text(solution.source, encoding="utf-8")
        name_places(path, solution.places)
        try:
            module = load_solution(path)
        except CannotLoadError as error:
            problem = error.problem
            reason = problem.reason.replace(path.name, filename, 1)
            raise CannotLoadError(reason, problem.frames, problem.hint, interrupted=error.interrupted) from None
        lines = solution.source.splitlines(keepends=True)
        linecache.cache[str(path)] = (len(solution.source), None, lines, str(path))  # without a time: it stays when the file is gone
    return module, solution.notes
