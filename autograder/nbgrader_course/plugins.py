"""What nbgrader's own commands call: `nbgrader autograde` grades in the sandbox, `nbgrader generate_assignment` keeps the gradebook.

A converter of nbgrader makes one notebook of another through an exporter. The one here is asked for the autograded notebook and reads
nothing of the student's: the grader does that in its own way, and no kernel starts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from nbconvert.exporters import NotebookExporter
from nbgrader.preprocessors import NbGraderPreprocessor  # type: ignore[import-untyped]
from traitlets import Enum, Integer, Unicode

from autograder.course.course import load_course
from autograder.gradebook.database import nbgrader_api, open_gradebook
from autograder.gradebook.write import presentable
from autograder.grading.task import SandboxMode
from autograder.nbgrader_course.autograde import Settings, grade_submitted


class NotGradedError(Exception):
    """A submission without a grade; nbgrader reports it and goes on with the others."""


class SandboxedExporter(NotebookExporter):
    """For `Autograde.exporter_class`: the autograded notebooks of the submissions, which are graded when one is first asked for."""

    course = Unicode("course.toml", help="the course's description").tag(config=True)
    results = Unicode("results", help="the folder of the reports").tag(config=True)
    roster = Unicode("", help="the class's list, a CSV file").tag(config=True)
    sandbox = Enum(("require", "best", "off"), "require", help="as of `autograder grade --sandbox`").tag(config=True)
    jobs = Integer(0, min=0, help="submissions graded at once; 0: one for each core").tag(config=True)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._converter: Any = self.parent  # of nbgrader
        self._notebooks: dict[tuple[str, str], str] = {}

    def from_filename(self, filename: str, resources: Any = None, **_options: Any) -> tuple[Any, Any]:
        """The autograded notebook's text. nbgrader asks twice: with the submitted notebook, and with the one that it wrote of it.

        Raises NotGradedError, and the errors of the grader's parts, for nbgrader to show.
        """
        asked = resources["nbgrader"]
        wanted = (asked["assignment"], asked["student"])
        if wanted not in self._notebooks:
            self._grade(*wanted, asked["notebook"])
        return self._notebooks[wanted], resources | {"output_extension": self.file_extension}

    def _grade(self, assignment: str, student: str, notebook: str) -> None:
        """Grade the student's submission and, in the same run, the others of the assignment that nbgrader will ask for."""
        directory = self._converter.coursedir
        submitted = Path(directory.format_path(directory.submitted_directory, student, assignment)).parent.parent
        roster = Path(self.roster) if self.roster else None
        settings = Settings(Path(self.course), Path(self.results), directory.db_url, roster, cast(SandboxMode, self.sandbox), self.jobs)
        name = load_course(settings.course).find(assignment).name
        if notebook != name:
            raise NotGradedError(f"{assignment} is graded by {name}.ipynb or {name}.py; {notebook}.ipynb is neither")
        if not presentable(student):
            raise NotGradedError(f'{student!r}: nbgrader cannot keep or show this name; use no <, > or " and at most 128 letters')
        students = {student, *(other for other in self._others(assignment) if presentable(other) and self._waits(assignment, other, name))}
        graded = grade_submitted(settings, assignment, submitted, sorted(students), force=self._converter.force, note=self.log.warning)
        self._notebooks |= {(assignment, one): text for one, text in graded.notebooks.items()}
        if student not in graded.notebooks:
            raise NotGradedError(graded.failures.get(student, f"{student} was not graded; run again"))

    def _others(self, assignment: str) -> list[str]:
        """The students whom this run of nbgrader goes through, so far as it may make entries for them."""
        converter = self._converter
        pattern = converter.coursedir.format_path(converter.coursedir.submitted_directory, "(?P<student>.*)", re.escape(assignment), escape=True)
        found = [match["student"] for path in converter.assignments if (match := re.fullmatch(pattern, path))]
        excluded = converter.coursedir.student_id_exclude.split(",")
        if not converter.create_student:
            with open_gradebook(converter.coursedir.db_url, converter.coursedir.course_id) as gradebook:
                known = {row.id for row in gradebook.students}
            found = [student for student in found if student in known]
        return [student for student in found if student not in excluded]

    def _waits(self, assignment: str, student: str, name: str) -> bool:
        """Whether nbgrader will grade the submission rather than pass it over."""
        directory = self._converter.coursedir
        before, now = (
            Path(directory.format_path(step, student, assignment)) for step in (directory.autograded_directory, directory.submitted_directory)
        )
        if self._converter.force or not (before / f"{name}.ipynb").exists():
            return True
        try:
            times = [directory.get_existing_timestamp(str(folder)) for folder in (now, before)]
        except (AttributeError, OSError, ValueError):  # no time stands there: nbgrader says so when it comes to this student
            return False
        return None not in times and times[0] > times[1]


class SaveAssignment(NbGraderPreprocessor):  # type: ignore[misc]
    """For `GenerateAssignment.preprocessors`, in place of SaveCells: the gradebook's cells are those of the hidden tests and questions.

    nbgrader's own would record the notebook's cells, and refuse to make the assignment again once something was graded.
    """

    course = Unicode("course.toml", help="the course's description").tag(config=True)

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Enter the assignment with its due date, and the notebook that `nbgrader autograde` looks for."""
        course, asked, api = load_course(Path(self.course)), resources["nbgrader"], nbgrader_api()
        due = course.find(asked["assignment"]).due
        with open_gradebook(asked["db_url"], course.id) as gradebook:
            row = gradebook.update_or_create_assignment(asked["assignment"], duedate=due.replace(tzinfo=None) if due else None)
            if asked["notebook"] not in {notebook.name for notebook in row.notebooks}:
                gradebook.db.add(api.Notebook(name=asked["notebook"], assignment=row))
            gradebook.db.commit()
        return nb, resources
