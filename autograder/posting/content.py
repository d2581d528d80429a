"""What is posted about one submission: pure functions from a report's standing to a title, Markdown and annotations.

Made from the view that feedback pages are made from, which has no place for what a student must not see.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from autograder.course.course import Assignment
from autograder.reports import text
from autograder.reports.feedback import FeedbackView, view
from autograder.reports.model import Status
from autograder.reports.pages import render_markdown
from autograder.results.standings import Standing

MAX_TEXT = 65_535  # characters of a check run's summary or text, and of a comment
MAX_DESCRIPTION = 140  # of a commit status
_CUT = "\n\n_The rest is too long to be shown here._\n"


@dataclass(frozen=True)
class Annotation:
    """A remark on one line of the student's own file."""

    path: str
    line: int
    title: str
    message: str


@dataclass(frozen=True)
class Content:
    """conclusion: "success" for all points, "neutral" for some, "failure" where nothing could be graded."""

    name: str  # "autograder: 01_attention"
    title: str
    conclusion: str
    summary: str
    details: str
    annotations: tuple[Annotation, ...]

    @property
    def digest(self) -> str:
        """Of everything that is shown: what has not changed is not posted again."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()

    @property
    def comment(self) -> str:
        return fitted(f"## {self.name}: {self.title}\n\n{self.summary}\n{self.details}")


def content_of(standing: Standing, assignment: Assignment, path: str | None, source: str | None = None) -> Content:
    """`path`: of the graded file in the student's repository, for annotations; None when its lines are not the file's, as in a notebook."""
    shown = view(standing, assignment, source)
    points = f"{shown.score} of {shown.max_score} points"
    graded = shown.status is Status.GRADED
    whole = graded and standing.final_score >= standing.report.max_score
    return Content(
        name=f"autograder: {assignment.folder}",
        title=points if graded else f"{points}: {shown.status_words}",
        conclusion="success" if whole else "neutral" if graded else "failure",
        summary=fitted(render_markdown("posted_summary.md", view=shown)),
        details=_details(shown),
        annotations=_annotations(shown, standing, path) if path is not None else (),
    )


def description_of(content: Content) -> str:
    """The title and what is to be done, within a commit status' length."""
    return text.one_line(content.title, MAX_DESCRIPTION)


def fitted(markdown: str, limit: int = MAX_TEXT) -> str:
    """Markdown cut at the end of a paragraph where it is too long."""
    if len(markdown) <= limit:
        return markdown
    kept = markdown[: limit - len(_CUT)]
    return kept[: max(kept.rfind("\n\n"), kept.rfind("\n"), 0)] + _CUT


def _details(shown: FeedbackView) -> str:
    """Each failed test in words; those that do not fit are left out whole, so that no fence is left open."""
    parts: list[str] = []
    length = 0
    for test in shown.failed if shown.ran else ():
        part = render_markdown("failure.md", test=test) + "\n"
        if length + len(part) > MAX_TEXT - len(_CUT):
            return "".join(parts) + _CUT
        parts.append(part)
        length += len(part)
    return "".join(parts)


def _annotations(shown: FeedbackView, standing: Standing, path: str) -> tuple[Annotation, ...]:
    lines = {place: test.line for place, test in enumerate(standing.report.tests, 1)}
    found = []
    for test in shown.failed:
        line = lines[test.place]
        if line is not None:
            words = f"{test.message}\n{test.misconception}".strip() or "This test failed."
            found.append(Annotation(path, line, text.one_line(test.title, 200), text.clean(words, 2000)))
    return tuple(found)
