"""What each report comes to: how late the work was, what that costs, and what it makes of the course."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from autograder.course.course import Course, CourseError
from autograder.course.late import late_penalty, parse_time, seconds_late
from autograder.course.roster import Roster
from autograder.reports.model import Report, Status


@dataclass(frozen=True)
class Standing:
    report: Report
    extension: timedelta
    seconds_late: float
    late_penalty: float  # points; may exceed the score
    final_score: float  # max(0, score - late_penalty)


@dataclass(frozen=True)
class CourseTotal:
    """One student's course grade: the mean of what was reached in each assignment, by weight. What is missing counts 0."""

    student: str
    percent: float
    final_scores: Mapping[str, float]  # by the assignment's folder, those that have a report


def standings(
    reports: Iterable[Report],
    course: Course,
    roster: Roster | None = None,
    granted: Mapping[tuple[str, str], timedelta] | None = None,
) -> list[Standing]:
    """The standing of each report, by student and assignment. Reports of assignments that the course no longer has are left out.

    granted: extensions from the gradebook, by (assignment, student); of two extensions the longer one holds.
    """
    found = []
    known = {assignment.folder for assignment in course.assignments}
    for report in reports:
        if report.assignment in known:
            of_roster = roster.extension(report.student, report.assignment) if roster else timedelta()
            extension = max(of_roster, (granted or {}).get((report.assignment, report.student), timedelta()))
            found.append(standing(report, course, extension))
    return sorted(found, key=lambda entry: (entry.report.student, entry.report.assignment))


def standing(report: Report, course: Course, extension: timedelta = timedelta()) -> Standing:
    """The standing of one report. Raises CourseError when its assignment is not one of the course's."""
    assignment = next((entry for entry in course.assignments if entry.folder == report.assignment), None)
    if assignment is None:
        raise CourseError(f"the report of {report.student} is of {report.assignment!r}, which is no assignment of {course.id!r}")
    submitted_at = parse_time(report.submitted_at) if report.submitted_at and report.status is not Status.MISSING else None
    late = seconds_late(submitted_at, assignment.due, extension)
    penalty = late_penalty(course.late, late, report.max_score)
    return Standing(report, extension, late, penalty, max(0.0, report.score - penalty))


def course_totals(found: Iterable[Standing], course: Course, roster: Roster | None = None) -> list[CourseTotal]:
    """The course grade of every student of the roster or with a standing, by name."""
    of_student: dict[str, dict[str, Standing]] = {entry.id: {} for entry in (roster.students if roster else ())}
    for entry in found:
        of_student.setdefault(entry.report.student, {})[entry.report.assignment] = entry
    weight = sum(assignment.weight for assignment in course.assignments)
    totals = []
    for student, of_assignment in sorted(of_student.items()):
        reached = sum(assignment.weight * _share(of_assignment.get(assignment.folder)) for assignment in course.assignments)
        percent = 100 * reached / weight if weight else 0.0
        totals.append(CourseTotal(student, percent, {folder: entry.final_score for folder, entry in sorted(of_assignment.items())}))
    return totals


def _share(entry: Standing | None) -> float:
    return entry.final_score / entry.report.max_score if entry is not None and entry.report.max_score > 0 else 0.0
