"""The exporters as plug-ins of `nbgrader export`, with their settings."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from nbgrader.plugins import ExportPlugin  # type: ignore[import-untyped]
from traitlets import Bool, Dict, Enum, Unicode

from autograder.course.course import load_course
from autograder.course.roster import Roster, load_roster
from autograder.exports.canvas import canvas_csv
from autograder.exports.gradescope import VISIBILITIES, gradescope_results
from autograder.exports.model import ClassGrades, Exported, ExportError, Rules
from autograder.exports.moodle import KEYS, moodle_csv, moodle_worksheet
from autograder.exports.questions import questions_csv
from autograder.exports.read import read_grades
from autograder.exports.template import check_output
from autograder.reports.text import one_line


def _write(path: Path, content: bytes) -> None:
    """A reader finds the old file or the whole new one. Nothing waits for the disk: an export can be made again."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}; name another file or folder with --to") from None


class AutograderExporter(ExportPlugin):  # type: ignore[misc]
    """What the exporters share. `last_warnings` holds what the last export had to say."""

    roster = Unicode("", help="the class's list, a CSV file, with the ids of other systems").tag(config=True)
    course = Unicode("course.toml", help="the course's description, which the roster's columns for extensions refer to").tag(config=True)
    missing = Enum(("blank", "zero"), "blank", help="what a student gets for an assignment without a submission").tag(config=True)
    ungraded = Enum(("blank", "partial"), "blank", help="a submission that waits for a person: left blank, or the points that it has so far").tag(
        config=True
    )

    default_to = ""
    reads_comments = False

    def export(self, gradebook: Any) -> None:
        """Write the file or files. Raises ExportError, and then nothing was written."""
        to = Path(self.to or self.default_to)
        template = Path(self.template) if getattr(self, "template", "") else None
        check_output(to, template)
        grades = read_grades(
            gradebook,
            self._roster(),
            [str(name) for name in self.assignment],
            [str(name) for name in self.student],
            comments=self.reads_comments,
        )
        done = self._exported(grades, Rules(self.missing, self.ungraded), to, template)
        for path, content in done.files.items():
            _write(path, content)
        self.last_warnings = [one_line(warning, 2000) for warning in done.warnings]
        for warning in self.last_warnings:
            self.log.warning("%s", warning)
        self.log.info("Exported %d files to %s", len(done.files), to)

    def _roster(self) -> Roster | None:
        return load_roster(Path(self.roster), load_course(Path(self.course))) if self.roster else None

    def _exported(self, grades: ClassGrades, rules: Rules, to: Path, template: Path | None) -> Exported:
        raise NotImplementedError


class CanvasExporter(AutograderExporter):
    """The CSV that Canvas's gradebook imports."""

    template = Unicode("", help="a gradebook that Canvas exported: its ids, order and titles stay, our assignments are filled in").tag(config=True)
    columns = Dict(
        Unicode(), key_trait=Unicode(), help="the column's title in Canvas, with its number, by assignment: {'01_attention': 'Attention (123)'}"
    ).tag(config=True)

    default_to = "canvas.csv"

    def _exported(self, grades: ClassGrades, rules: Rules, to: Path, template: Path | None) -> Exported:
        return canvas_csv(grades, rules, to, self.columns, template)


class MoodleExporter(AutograderExporter):
    """The CSV that Moodle's gradebook imports or, with a template, the grading worksheet of one assignment."""

    template = Unicode("", help="the grading worksheet that Moodle gave for one assignment").tag(config=True)
    key = Enum(tuple(KEYS), "email", help="what Moodle finds a user by, without a template").tag(config=True)
    columns = Dict(Unicode(), key_trait=Unicode(), help="another title for an assignment: {'01_attention': 'Attention'}").tag(config=True)
    feedback = Bool(True, help="fill in the worksheet's feedback comments").tag(config=True)

    default_to = "moodle.csv"
    reads_comments = True

    def _exported(self, grades: ClassGrades, rules: Rules, to: Path, template: Path | None) -> Exported:
        if template is not None:
            return moodle_worksheet(grades, rules, to, template, feedback=self.feedback)
        return moodle_csv(grades, rules, to, self.columns, self.key)


class GradescopeExporter(AutograderExporter):
    """A results.json for each student and assignment, in a folder."""

    visibility = Enum(VISIBILITIES, "visible", help="when Gradescope shows the tests to a student").tag(config=True)

    default_to = "gradescope"
    reads_comments = True

    def _exported(self, grades: ClassGrades, rules: Rules, to: Path, template: Path | None) -> Exported:
        return gradescope_results(grades, rules, to, self.visibility)


class QuestionsExporter(AutograderExporter):
    """A CSV with a row per student and question."""

    wide = Bool(False, help="a row per student, with a column for each question").tag(config=True)

    default_to = "questions.csv"
    reads_comments = True

    def _exported(self, grades: ClassGrades, rules: Rules, to: Path, template: Path | None) -> Exported:
        return questions_csv(grades, rules, to, wide=self.wide)
