"""Grade what lies in nbgrader's `submitted/` as `autograder grade` does: same sandbox, same reports, same gradebook."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.course.course import load_course
from autograder.course.roster import load_roster
from autograder.gradebook.by_hand import read_hand_graded
from autograder.gradebook.write import newest_tests, presentable, read_extensions, write_gradebook
from autograder.grading.jobs import local_executor
from autograder.grading.paths import REPOSITORY
from autograder.grading.run import Run
from autograder.grading.seeds import course_secret
from autograder.grading.task import SandboxMode
from autograder.nbgrader_course.folder import graded_notebook
from autograder.nbgrader_course.notebooks import notebook_bytes
from autograder.reports.text import one_line
from autograder.results.ledger import Ledger
from autograder.results.standings import standings
from autograder.submissions.find import Handed


@dataclass(frozen=True)
class Settings:
    """Where a course is and how it is graded. roster: None for none. jobs: submissions graded at once, 0 for one a core."""

    course: Path
    results: Path
    gradebook: str
    roster: Path | None = None
    sandbox: SandboxMode = "require"
    jobs: int = 0


@dataclass(frozen=True)
class Graded:
    """notebooks: each student's autograded notebook as a file's text. failures: why a student has none; the scores are as they were."""

    notebooks: dict[str, str]
    failures: dict[str, str]


def grade_submitted(
    settings: Settings, assignment: str, submitted: Path, students: Iterable[str], *, force: bool, note: Callable[[str], None]
) -> Graded:
    """Grade `submitted/STUDENT/assignment` of each student and bring the gradebook up to date.

    force: grade again what did not change. note: is told what the instructor should know. Raises the errors of the parts when nothing
    could be graded.
    """
    course = load_course(settings.course)
    found = course.find(assignment)
    course = replace(course, assignments=(found,))
    roster = load_roster(settings.roster, course) if settings.roster else None
    ledger = Ledger(settings.results)
    handed = [Handed(student, found, submitted / student / found.folder) for student in students]
    failures = {
        entry.student: f'{one_line(entry.student, 80)}: nbgrader shows no name with <, > or " safely; rename the folder'
        for entry in handed
        if not presentable(entry.student)
    }
    jobs = settings.jobs or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    run = Run(course, ledger, course_secret(settings.course.parent / ".autograder"), settings.sandbox, jobs, force)
    handed = [entry for entry in handed if entry.student not in failures]
    for failure in run.execute(tuple(handed), lambda: local_executor(jobs), lambda _student: None).failures:
        failures |= {entry.student: failure for entry in handed if failure.startswith(f"{one_line(entry.student, 80)}, {found.folder}: ")}
    handed = [entry for entry in handed if entry.student not in failures]
    reports = [report for entry in handed if (report := ledger.current(found.folder, entry.student)) is not None]
    entries = standings(reports, course, roster, read_extensions(settings.gradebook, course))
    by_hand = read_hand_graded(REPOSITORY, course, entries, submitted)
    for warning in write_gradebook(settings.gradebook, course, entries, roster, by_hand).warnings:
        note(warning)
    suite, questions = newest_tests(reports), by_hand.questions.get(found.folder, ())
    notebooks = {}
    for report in reports:
        notebook, _ = graded_notebook(course, found, submitted / report.student / found.folder, report, suite, questions)
        notebooks[report.student] = notebook_bytes(notebook).decode("utf-8")
    return Graded(notebooks, failures)
