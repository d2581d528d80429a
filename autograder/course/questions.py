"""The questions of an assignment that a person grades: what is asked, for how many points, by which rubric.

They are written in `reference_solutions/questions/NAME.md`, with what students must not see, and go from there into the
notebook (question and rubric), into the gradebook (points) and into the instructor's own notebook (model answer too):

    ## pattern · figure · 2 points
    What is asked.
    ### Rubric
    - 1 point: …
    ### Answer
    What a good answer says. Never released.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from autograder.course.table import CourseError

_HEADING = re.compile(r"^## (?P<id>[a-z][a-z0-9-]*) · (?P<kind>text|figure) · (?P<points>[0-9]+(?:\.[0-9]+)?) points?$")
_PARTS = re.compile(r"^### (Rubric|Answer)$", re.MULTILINE)


@dataclass(frozen=True)
class Question:
    """kind "text": answered in a Markdown cell; "figure": in a code cell, and what it drew is graded."""

    id: str
    kind: str
    points: float
    prompt: str
    rubric: str
    answer: str

    @property
    def grade_id(self) -> str:
        """Name of its cell in the notebook and in the gradebook."""
        return f"question-{self.id}"

    @property
    def cell_type(self) -> str:
        """Type of the cell that it is answered in."""
        return "code" if self.kind == "figure" else "markdown"


def load_questions(repository: Path, name: str) -> tuple[Question, ...]:
    """The questions of the assignment NAME, () when it has none. Raises CourseError, which names the file and the line."""
    path = repository / "reference_solutions" / "questions" / f"{name}.md"
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CourseError(f"{path.name}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    starts = [match.start() for match in re.finditer(r"^## ", text, re.MULTILINE)]
    if text[: min(starts, default=len(text))].strip():
        raise CourseError(
            f'{path.name}: the first line must be a question\'s heading like "## pattern · figure · 2 points"; what stands above it belongs to none'
        )
    found = []
    for start, end in pairwise([*starts, len(text)]):
        line = text.count("\n", 0, start) + 1
        found.append(_question(text[start:end], f"{path.name}, line {line}"))
    ids = [question.id for question in found]
    if twice := next((each for each in ids if ids.count(each) > 1), None):
        raise CourseError(f"{path.name}: two questions are called {twice!r}; expected each name once")
    return tuple(found)


def _question(text: str, where: str) -> Question:
    heading, _, body = text.partition("\n")
    match = _HEADING.match(heading.strip())
    if match is None:
        raise CourseError(f'{where}: {heading!r} is not a question\'s heading; expected one like "## pattern · figure · 2 points"')
    if float(match["points"]) == 0:
        raise CourseError(f"{where}: a question worth 0 points; expected more than 0")
    prompt, *rest = (part.strip() for part in _PARTS.split(body))
    if rest[::2] != ["Rubric", "Answer"] or not all((prompt, *rest)):
        raise CourseError(f'{where}: expected what is asked, then "### Rubric", then "### Answer", each once and none of them empty')
    return Question(match["id"], match["kind"], float(match["points"]), prompt, rest[1], rest[3])
