"""What `nbgrader generate_assignment` does with the instructor's notebook in `source/`."""

from __future__ import annotations

from typing import Any

from nbgrader import preprocessors  # type: ignore[import-untyped]
from nbgrader.utils import is_solution  # type: ignore[import-untyped]

from autograder.authoring.notebooks import cleared
from autograder.authoring.stubs import MarkerError, find_regions


class ClearSolutions(preprocessors.ClearSolutions):  # type: ignore[misc]
    """Each function left open says its name, helpers of the solution leave no trace, and placeholders for answers are the course's.

    Cells that are not made as the course's own go through nbgrader's ClearSolutions.
    """

    def preprocess_cell(self, cell: Any, resources: Any, cell_index: int) -> tuple[Any, Any]:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if is_solution(cell) and (grade_id.startswith("question-") or (cell.cell_type == "code" and _has_a_function_to_write(cell.source))):
            cell.source = cleared(cell.cell_type, grade_id, cell.source)
            return cell, resources
        made: tuple[Any, Any] = super().preprocess_cell(cell, resources, cell_index)
        return made


def _has_a_function_to_write(source: str) -> bool:
    try:
        return any(region.function for region in find_regions(source))
    except MarkerError:
        return False
