"""What `nbgrader generate_assignment` does with the instructor's notebook in `source/`."""

from __future__ import annotations

from typing import Any

from nbgrader.preprocessors import NbGraderPreprocessor  # type: ignore[import-untyped]
from nbgrader.utils import is_solution  # type: ignore[import-untyped]

from autograder.authoring.notebooks import cleared


class ClearSolutions(NbGraderPreprocessor):  # type: ignore[misc]
    """In place of nbgrader's own: each function left open says its name, helpers of the solution leave no trace, and placeholders
    for answers are the course's.
    """

    def preprocess_cell(self, cell: Any, resources: Any, _index: int) -> tuple[Any, Any]:
        if is_solution(cell):
            cell.source = cleared(cell.cell_type, cell.metadata.nbgrader["grade_id"], cell.source)
        return cell, resources
