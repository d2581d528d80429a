"""Whether stub and notebook are what a student is to begin with: nobody's solution, whoever wrote it, is left in them."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path

from autograder.authoring.stubs import MarkerError, stub_source
from autograder.checking.notebook import NotebookError, solution_source
from autograder.course.course import Assignment
from autograder.release.errors import ReleaseError

_AGAIN = "`make generate` makes it again"


def check_untouched(repository: Path, assignment: Assignment, files: Mapping[str, bytes]) -> None:
    """Raises ReleaseError when stub or notebook of the assignment is not what its reference gives, or holds results of a run."""
    stub_path, notebook_path = (f"assignments/{assignment.folder}/{assignment.name}.{kind}" for kind in ("py", "ipynb"))
    reference = assignment.reference(repository)
    try:
        stub = stub_source(reference.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, MarkerError) as error:
        raise ReleaseError(f"the stub of {assignment.folder} cannot be compared with reference_solutions/{reference.name}: {error}") from None
    if files[stub_path] != stub.encode():
        raise ReleaseError(f"{stub_path} is not the stub that reference_solutions/{reference.name} gives; {_AGAIN}")
    try:
        text = files[notebook_path].decode("utf-8")
        code = solution_source(text)
        outputs = [cell for cell in json.loads(text)["cells"] if cell.get("outputs") or cell.get("execution_count")]
        same = _code_without_docstring(code) == _code_without_docstring(stub)
    except (UnicodeDecodeError, NotebookError, SyntaxError) as error:
        raise ReleaseError(f"{notebook_path} cannot be read: {error}; {_AGAIN}") from None
    if outputs:
        raise ReleaseError(f"{notebook_path} holds the results of a run; {_AGAIN}")
    if not same:
        raise ReleaseError(f"{notebook_path} does not hold the code of {stub_path}; {_AGAIN}")


def _code_without_docstring(source: str) -> str:
    tree = ast.parse(source)
    if ast.get_docstring(tree, clean=False) is not None:
        del tree.body[0]
    return ast.dump(tree)
