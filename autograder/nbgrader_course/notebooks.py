"""The autograded notebook: the answers to the questions, each hidden test's outcome in words, and the code as it was graded.

formgrader shows it to who grades by hand, `nbgrader generate_feedback` makes the student's feedback of it. So it holds what
students may see and no more: no test's source, no input, no expected value, no model answer.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from autograder.course.late import parse_time
from autograder.course.questions import Question
from autograder.nbgrader_course.inert import inert_attachments, inert_code, inert_markdown, inert_outputs, stream
from autograder.reports.model import Outcome, Report, Status, TestResult
from autograder.submissions.answers import Answer

WHOLE = "submission"  # the cell that comments on the submission as a whole hang on
_WIDTH = 110
_OUTCOMES = {Outcome.PASSED: "Passed", Outcome.FAILED: "Not passed", Outcome.NOT_RUN: "Not run"}


def autograded_notebook(
    report: Report,
    source: str | None,
    suite: Sequence[TestResult] = (),
    questions: Sequence[Question] = (),
    answers: Mapping[str, Answer] | None = None,
) -> dict[str, Any]:
    """The notebook as JSON of nbformat 4.5.

    source: the text that was graded, None when it is not at hand. suite: the tests that the gradebook has (default: the report's);
    one that the report does not know is shown as not graded yet. answers: by grade_id; a question without one was not answered.
    """
    results = {test.id: test for test in report.tests}
    cells = [_cell("markdown", "about", _about(report))]
    for question in questions:
        cells.append(_cell("markdown", f"asked-{question.id}", _asked(question)))
        cells.append(_answer(question, (answers or {}).get(question.grade_id)))
    for number, test in enumerate(suite or report.tests):
        cells.append(_test(number, test, results.get(test.id), report.status))
    cells.append(_submission(report, source))
    return _notebook(cells)


def code_notebook(source: str) -> dict[str, Any]:
    """A submission that is a Python file, as a notebook of one cell."""
    return _notebook([_cell("code", "submission", source, nbgrader=_metadata(WHOLE, "code", solution=True))])


def notebook_bytes(notebook: Mapping[str, Any]) -> bytes:
    """The file's content. The same notebook gives the same bytes."""
    return (json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode("utf-8", "replace")


def explanation(test: TestResult | None, status: Status = Status.GRADED) -> str:
    """A test's outcome in words: the points, what went wrong, the known mistake that it is, where to look."""
    if test is None:
        return "Not graded yet with this test." if status is Status.GRADED else "Not run."
    said = [test.message.strip(), test.misconception.says.strip() if test.misconception else ""]
    lines = [f"{_OUTCOMES[test.outcome]}: {test.points:g} of {test.max_points:g} points."]
    lines += [text for position, text in enumerate(said) if text and text not in said[:position]]
    if test.line is not None and test.outcome is not Outcome.PASSED:
        lines.append(f"Look at line {test.line} of your file.")
    return "\n".join(textwrap.fill(paragraph, _WIDTH, break_long_words=False) for text in lines for paragraph in text.split("\n"))


def _about(report: Report) -> str:
    handed_in = f", handed in {parse_time(report.submitted_at):%Y-%m-%d %H:%M} UTC" if report.submitted_at else ""
    return f"Attempt {report.attempt}{handed_in}."


def _submission(report: Report, source: str | None) -> dict[str, Any]:
    if report.status is Status.MISSING:
        text = "# Nothing was handed in."
    elif source is None:
        text = "# The text that was graded is not at hand."
    else:
        text = inert_code(source)
    return _cell("code", "submission", text, nbgrader=_metadata(WHOLE, "code", solution=True))


def _test(number: int, test: TestResult, result: TestResult | None, status: Status) -> dict[str, Any]:
    title = "\n".join(f"# {line}" for line in textwrap.wrap((result or test).title, _WIDTH)) or f"# {test.id}"
    passed = result is not None and result.outcome is Outcome.PASSED
    shown = stream(explanation(result, status) + "\n", "stdout" if passed else "stderr")
    return _cell("code", f"test-{number}", title, [shown], _metadata(test.id, "code", points=test.max_points))


def _asked(question: Question) -> str:
    return f"{question.prompt}\n\n**{question.points:g} points:**\n\n{question.rubric}"


def _answer(question: Question, answer: Answer | None) -> dict[str, Any]:
    cell_type = question.cell_type
    metadata = _metadata(question.grade_id, cell_type, points=question.points, solution=True)
    if answer is None:
        text = "# Not answered." if cell_type == "code" else "*Not answered.*"
        return _cell(cell_type, f"answer-{question.id}", text, nbgrader=metadata)
    if cell_type == "code":
        return _cell("code", f"answer-{question.id}", inert_code(answer.source), inert_outputs(answer.outputs), metadata)
    pictures, shown = inert_attachments(answer.attachments)
    cell = _cell("markdown", f"answer-{question.id}", f"{inert_markdown(answer.source)}\n\n{shown}".strip(), nbgrader=metadata)
    return cell | ({"attachments": pictures} if pictures else {})


def _notebook(cells: list[dict[str, Any]]) -> dict[str, Any]:
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def _cell(
    cell_type: str, cell_id: str, source: str, outputs: list[dict[str, Any]] | None = None, nbgrader: dict[str, Any] | None = None
) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": cell_type, "id": cell_id[:64], "metadata": {"nbgrader": nbgrader} if nbgrader else {}, "source": source}
    if cell_type == "code":
        cell |= {"execution_count": None, "outputs": outputs or []}
    return cell


def _metadata(grade_id: str, cell_type: str, *, points: float | None = None, solution: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "schema_version": 3,
        "grade_id": grade_id,
        "grade": points is not None,
        "solution": solution,
        "locked": not solution,
        "task": False,
        "cell_type": cell_type,
    }
    return metadata | ({"points": points} if points is not None else {})
