"""What the standings of a class come to: counted and sorted, ready to be drawn."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autograder.course.course import Assignment, Course
from autograder.reports.model import Outcome, Status
from autograder.results.standings import Standing, course_totals


@dataclass(frozen=True)
class TestSummary:
    """One test over the submissions that could be run. `outcomes` goes with `AssignmentSummary.ran`; None: not in that report."""

    __test__ = False

    title: str
    max_points: float
    outcomes: tuple[Outcome | None, ...]

    def count(self, outcome: Outcome) -> int:
        return self.outcomes.count(outcome)


@dataclass(frozen=True)
class MisconceptionSummary:
    says: str
    students: tuple[str, ...]
    tests: tuple[str, ...]  # titles of the tests that showed it


@dataclass(frozen=True)
class AssignmentSummary:
    assignment: Assignment
    standings: tuple[Standing, ...]  # by student
    ran: tuple[Standing, ...]  # whose tests ran, best score first
    tests: tuple[TestSummary, ...]
    misconceptions: tuple[MisconceptionSummary, ...]  # most frequent first

    @property
    def max_score(self) -> float:
        return max((standing.report.max_score for standing in self.standings), default=0.0) or self.assignment.points

    @property
    def submitted(self) -> tuple[Standing, ...]:
        return tuple(standing for standing in self.standings if standing.report.status is not Status.MISSING)

    def with_status(self, *statuses: Status) -> tuple[Standing, ...]:
        return tuple(standing for standing in self.standings if standing.report.status in statuses)

    @property
    def scores(self) -> tuple[float, ...]:
        """What counts, of all that was handed in."""
        return tuple(standing.final_score for standing in self.submitted)

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.scores) if self.scores else None

    @property
    def median(self) -> float | None:
        return statistics.median(self.scores) if self.scores else None


@dataclass(frozen=True)
class StudentRow:
    student: str
    cells: tuple[Standing | None, ...]  # goes with ClassSummary.assignments; None: not graded
    percent: float  # of the course so far


@dataclass(frozen=True)
class ClassSummary:
    course: Course
    assignments: tuple[AssignmentSummary, ...]  # those with a standing, in the course's order
    rows: tuple[StudentRow, ...]  # by student

    @property
    def standings(self) -> tuple[Standing, ...]:
        return tuple(standing for entry in self.assignments for standing in entry.standings)


def so_far(course: Course, standings: Iterable[Standing]) -> Course:
    """The course without the assignments that nobody has been graded in, so that totals do not count them as 0."""
    graded = {standing.report.assignment for standing in standings}
    return dataclasses.replace(course, assignments=tuple(entry for entry in course.assignments if entry.folder in graded))


def summarise(course: Course, standings: Sequence[Standing]) -> ClassSummary:
    course = so_far(course, standings)
    by_cell = {(standing.report.student, standing.report.assignment): standing for standing in standings}
    rows = tuple(
        StudentRow(total.student, tuple(by_cell.get((total.student, entry.folder)) for entry in course.assignments), total.percent)
        for total in course_totals(by_cell.values(), course)
    )
    of_assignment = [[row.cells[column] for row in rows] for column in range(len(course.assignments))]
    summaries = (_assignment(entry, [cell for cell in cells if cell]) for entry, cells in zip(course.assignments, of_assignment, strict=True))
    return ClassSummary(course, tuple(summaries), rows)


def _assignment(assignment: Assignment, standings: Sequence[Standing]) -> AssignmentSummary:
    graded = [standing for standing in standings if standing.report.status is Status.GRADED]
    ran = tuple(sorted(graded, key=lambda standing: (-standing.report.score, standing.report.student)))
    return AssignmentSummary(assignment, tuple(standings), ran, _tests(ran), _misconceptions(standings))


def _tests(ran: Sequence[Standing]) -> tuple[TestSummary, ...]:
    """Every test of these reports, in the suite's order; of a test that changed between suites, the last title."""
    results = [{test.id: test for test in standing.report.tests} for standing in ran]
    known = {test_id: test for of_student in results for test_id, test in of_student.items()}
    return tuple(
        TestSummary(test.title, test.max_points, tuple(of_student[test_id].outcome if test_id in of_student else None for of_student in results))
        for test_id, test in known.items()
    )


def _misconceptions(standings: Sequence[Standing]) -> tuple[MisconceptionSummary, ...]:
    says: dict[str, str] = {}
    students: dict[str, dict[str, None]] = {}
    tests: dict[str, dict[str, None]] = {}
    for standing in standings:
        for test in standing.report.tests:
            if test.misconception:
                found = test.misconception
                says[found.name] = found.says
                students.setdefault(found.name, {})[standing.report.student] = None
                tests.setdefault(found.name, {})[test.title] = None
    frequent = sorted(says, key=lambda name: (-len(students[name]), name))
    return tuple(MisconceptionSummary(says[name], tuple(students[name]), tuple(tests[name])) for name in frequent)
