"""Write the standings of a class into nbgrader's gradebook.

One notebook per assignment; in it one grade cell per hidden test and per question that a person grades, and a solution cell of
the same name, since nbgrader keeps comments only there. One transaction per assignment: a gradebook never shows half of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from autograder.course.course import Assignment, Course
from autograder.course.late import late_penalty, parse_time
from autograder.course.questions import Question
from autograder.course.roster import Roster, Student
from autograder.gradebook.by_hand import HandGraded, write_answers
from autograder.gradebook.database import begin_writing, nbgrader_api, open_gradebook
from autograder.nbgrader_course.inert import inert_markdown
from autograder.nbgrader_course.notebooks import WHOLE
from autograder.reports.model import Report, Status, TestResult
from autograder.reports.text import one_line
from autograder.results.standings import Standing, standing

COLUMN_WIDTH = 128  # letters of an id or a name, in nbgrader's tables


@dataclass(frozen=True)
class GradebookUpdate:
    submissions: int
    warnings: tuple[str, ...] = ()  # for the instructor


def read_extensions(url: str, course: Course) -> dict[tuple[str, str], timedelta]:
    """The extensions granted in the gradebook, by (assignment, student): the standings need them. Raises GradebookError."""
    with open_gradebook(url, course.id) as gradebook:
        submitted = nbgrader_api().SubmittedAssignment
        rows = gradebook.db.query(submitted).filter(submitted.extension.is_not(None)).all()
        return {(row.assignment.name, row.student_id): row.extension for row in rows}


def write_gradebook(
    url: str, course: Course, standings: Sequence[Standing], roster: Roster | None = None, by_hand: HandGraded | None = None
) -> GradebookUpdate:
    """Bring the gradebook up to date with all standings that count: a second call changes nothing. Raises GradebookError.

    Kept are manual scores, manual comments and extra credit, and the longer of two extensions. An assignment's tests, with
    their points, are those of its newest report; a test that a report does not have gives no points. by_hand: the questions that
    a person grades; without it, those that the gradebook has stay as they are.
    """
    warnings: list[str] = []
    written = 0
    standings = _presentable(standings, warnings)
    with open_gradebook(url, course.id) as gradebook:
        for position, assignment in enumerate(course.assignments):
            begin_writing(gradebook.db)
            if position == 0:
                _write_students(gradebook.db, standings, roster)
            of_assignment = [entry for entry in standings if entry.report.assignment == assignment.folder]
            notebook = _write_structure(gradebook.db, course, assignment, of_assignment, by_hand, warnings)
            if notebook is not None:
                written += _write_submissions(gradebook.db, course, notebook, of_assignment, by_hand)
            gradebook.db.commit()
    return GradebookUpdate(written, tuple(warnings))


def comment_text(test: TestResult) -> str | None:
    """What the student reads beside a test that was not passed, in Markdown, as nbgrader renders it."""
    parts = [test.message.strip(), test.misconception.says.strip() if test.misconception else ""]
    kept = [part for position, part in enumerate(parts) if part and part not in parts[:position]]
    if test.line is not None and kept:
        kept.append(f"Look at {test.place or f'line {test.line} of your file'}.")
    return inert_markdown("\n\n".join([test.title.strip(), *kept])) if kept else None


def presentable(student: str) -> bool:
    """Whether nbgrader can keep a student's id, and its pages can show it, which do not escape it."""
    return not set(student) & set('<>"') and len(student_key(student)) <= COLUMN_WIDTH


def _presentable(standings: Sequence[Standing], warnings: list[str]) -> list[Standing]:
    strange = sorted({entry.report.student for entry in standings if not presentable(entry.report.student)})
    advice = f'rename the folder (no <, > and ", at most {COLUMN_WIDTH} letters) and grade again'
    warnings += [f"{name!r} is not in the gradebook: {advice}" for name in strange]
    return [entry for entry in standings if presentable(entry.report.student)]


def _write_students(db: Any, standings: Iterable[Standing], roster: Roster | None) -> None:
    api = nbgrader_api()
    wanted = {entry.report.student: Student(entry.report.student) for entry in standings}
    wanted.update({student.id: student for student in (roster.students if roster else ())})
    existing = {row.id: row for row in db.query(api.Student).all()}
    for student in filter(lambda student: presentable(student.id), wanted.values()):
        row = existing.get(student_key(student.id))
        if row is None:
            row = api.Student(id=student_key(student.id))
            db.add(row)
        for column in ("first_name", "last_name", "email"):
            if value := getattr(student, column):  # an empty cell of the roster does not erase what was entered by hand
                # nbgrader's pages do not escape names, and PostgreSQL takes neither a NUL nor what is too long.
                setattr(row, column, one_line(value, COLUMN_WIDTH).replace("<", "‹").replace(">", "›"))


def _write_structure(
    db: Any, course: Course, assignment: Assignment, standings: Sequence[Standing], by_hand: HandGraded | None, warnings: list[str]
) -> Any:
    """The assignment's Notebook with its cells brought up to date; None while no report says what the tests are."""
    api = nbgrader_api()
    row = db.query(api.Assignment).filter(api.Assignment.name == assignment.folder).one_or_none()
    if row is None:
        row = api.Assignment(name=assignment.folder, course_id=course.id)
        db.add(row)
    row.duedate = _naive(assignment.due)
    tests = newest_tests(entry.report for entry in standings)
    if not tests:
        return None
    notebook = next((entry for entry in row.notebooks if entry.name == assignment.name), None)
    if notebook is None:
        notebook = api.Notebook(name=assignment.name, assignment=row)
        db.add(notebook)
    grade_cells = {cell.name: cell for cell in notebook.grade_cells}
    solution_cells = {cell.name: cell for cell in notebook.solution_cells}
    questions = by_hand.questions.get(assignment.folder, ()) if by_hand is not None else ()
    wanted = [(test.id, test.max_points, "code") for test in tests]
    wanted += [(question.grade_id, question.points, question.cell_type) for question in questions]
    for name, points, cell_type in wanted:
        if name not in grade_cells:
            db.add(api.GradeCell(name=name, notebook=notebook, max_score=points, cell_type=cell_type))
        elif grade_cells[name].max_score != points:
            grade_cells[name].max_score = points
    names = [name for name, _, _ in wanted]
    for name in [*names, WHOLE]:
        if name not in solution_cells:
            db.add(api.SolutionCell(name=name, notebook=notebook))
    for name in sorted(grade_cells.keys() - set(names)):
        if _is_test(name) or (by_hand is not None and name.startswith("question-")):
            _retire(db, assignment, grade_cells[name], solution_cells.get(name), warnings)
    db.flush()
    db.expire(notebook)
    return notebook


def _retire(db: Any, assignment: Assignment, grade_cell: Any, solution_cell: Any, warnings: list[str]) -> None:
    """Take a test or question that the assignment no longer has out of the gradebook, unless somebody graded it by hand."""
    if any(grade.manual_score is not None or grade.extra_credit is not None for grade in grade_cell.grades):
        grade_cell.max_score = 0.0
        kind = "test" if _is_test(grade_cell.name) else "question"
        warnings.append(f"{assignment.folder}: {grade_cell.name} is no longer a {kind}, but has scores given by hand: they still count")
        return
    cells = [cell for cell in (grade_cell, solution_cell) if cell is not None]
    for row in [*grade_cell.grades, *(solution_cell.comments if solution_cell is not None else ())]:
        db.delete(row)
    db.flush()
    for cell in cells:
        db.delete(cell)


def _write_submissions(db: Any, course: Course, notebook: Any, standings: Sequence[Standing], by_hand: HandGraded | None) -> int:
    api = nbgrader_api()
    assignment = notebook.assignment
    grade_cells = {cell.name: cell for cell in notebook.grade_cells}
    solution_cells = {cell.name: cell for cell in notebook.solution_cells}
    existing = {row.student_id: row for row in db.query(api.SubmittedAssignment).filter_by(assignment_id=assignment.id)}
    notebooks = {row.assignment_id: row for row in db.query(api.SubmittedNotebook).filter_by(notebook_id=notebook.id)}
    graded = _rows_by_notebook(db, api.Grade, api.GradeCell, notebook)
    commented = _rows_by_notebook(db, api.Comment, api.SolutionCell, notebook)
    by_student = {student_key(entry.report.student): entry for entry in standings}
    for student, entry in by_student.items():
        # As in nbgrader, who handed in nothing has no submission; one that was there is brought to 0.
        if student not in existing and entry.report.status is not Status.MISSING:
            existing[student] = api.SubmittedAssignment(assignment=assignment, student_id=student)
            db.add(existing[student])
    db.flush()
    questions: Sequence[Question] = by_hand.questions.get(assignment.name, ()) if by_hand is not None else ()
    answers = {}
    for student, submission in existing.items():
        submitted = notebooks.get(submission.id)
        if submitted is None:
            submitted = api.SubmittedNotebook(notebook_id=notebook.id, assignment=submission)
            db.add(submitted)
            db.flush()
        grades = graded.get(submitted.id, {})
        for name, cell in grade_cells.items():
            if name not in grades:
                # nbgrader makes these rows only with the submission: a test added later would have none.
                grades[name] = api.Grade(cell_id=cell.id, notebook_id=submitted.id, needs_manual_grade=not _is_test(name))
                db.add(grades[name])
        comments = commented.get(submitted.id, {})
        for name, cell in solution_cells.items():
            if name not in comments:
                comments[name] = api.Comment(cell_id=cell.id, notebook_id=submitted.id)
                db.add(comments[name])
        if student in by_student:
            entry = by_student[student]
            _write_submission(course, entry, sum(question.points for question in questions), submission, submitted, grades, comments)
            states = by_hand.answers.get((assignment.name, entry.report.student)) if by_hand is not None else None
            if states:
                answers[student] = (grades, states)
    if answers:
        write_answers(db, assignment.name, answers)
    return len(by_student.keys() & existing.keys())


def _write_submission(
    course: Course, entry: Standing, by_hand_points: float, submission: Any, submitted: Any, grades: dict[str, Any], comments: dict[str, Any]
) -> None:
    report = entry.report
    submission.timestamp = _naive(parse_time(report.submitted_at)) if report.submitted_at else None
    extension = max(entry.extension, submission.extension or timedelta())
    if extension != entry.extension:  # granted in formgrader after the standings were computed
        entry = standing(report, course, extension)
    if extension and submission.duedate is not None:
        submission.extension = extension
    # The maximum here has the questions in it, and what is late takes its share of that.
    submitted.late_submission_penalty = late_penalty(course.late, entry.seconds_late, report.max_score + by_hand_points)
    tests = {test.id: test for test in report.tests}
    for name, grade in grades.items():
        if name not in tests and not _is_test(name):
            continue
        points = tests[name].points if name in tests else 0.0
        if grade.manual_score is None:
            grade.needs_manual_grade = False
        elif grade.auto_score != points:
            grade.needs_manual_grade = True  # the score given by hand wins; what it was given for has changed
        grade.auto_score = points
    for name, comment in comments.items():
        if name == WHOLE:
            comment.auto_comment = inert_markdown(report.message.strip()) or None
        elif name in tests:
            comment.auto_comment = comment_text(tests[name])
        elif _is_test(name):
            comment.auto_comment = "Not graded yet with this test." if report.status is Status.GRADED else None


def _rows_by_notebook(db: Any, row_class: Any, cell_class: Any, notebook: Any) -> dict[str, dict[str, Any]]:
    """Grades or comments by the submitted notebook and the name of their cell, in one query for the whole class."""
    found: dict[str, dict[str, Any]] = {}
    query = db.query(row_class, cell_class.name).join(cell_class, cell_class.id == row_class.cell_id)
    for row, name in query.filter(cell_class.notebook_id == notebook.id):
        found.setdefault(row.notebook_id, {})[name] = row
    return found


def newest_tests(reports: Iterable[Report]) -> tuple[TestResult, ...]:
    """The tests that the gradebook has for an assignment: those of its newest report."""
    listed = [report for report in reports if report.tests]
    return max(listed, key=lambda report: parse_time(report.graded_at)).tests if listed else ()


def _naive(moment: datetime | None) -> datetime | None:
    """nbgrader keeps times in UTC without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment is not None else None


def _is_test(cell: str) -> bool:
    """Whether a cell is one of a hidden test, as opposed to one that somebody added to grade by hand."""
    return cell.startswith("test_")


def student_key(student: str) -> str:
    """The student as a database can hold it: the name of a folder may have bytes that are not UTF-8."""
    return student.encode("utf-8", "backslashreplace").decode("utf-8")
