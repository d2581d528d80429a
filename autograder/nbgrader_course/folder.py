"""An nbgrader course folder beside the results: what was handed in, and the autograded notebooks that its pages show.

    source/NN_name/                        the instructor's notebook with the solution, and what students get with it
    submitted/STUDENT/NN_name/             name.py and name.ipynb as they were handed in (a name.py alone as both), timestamp.txt
    autograded/STUDENT/NN_name/            name.ipynb as `notebooks` makes it, timestamp.txt

Everything in it can be made again. What is as it should be is not written again.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.course.course import Assignment, Course
from autograder.course.late import parse_time
from autograder.course.questions import Question
from autograder.gradebook.by_hand import HandGraded
from autograder.gradebook.write import newest_tests, presentable, student_key
from autograder.grading.paths import REPOSITORY, given_stub
from autograder.nbgrader_course.notebooks import autograded_notebook, code_notebook, notebook_bytes
from autograder.nbgrader_course.source import source_files
from autograder.reports.model import Report, Status, TestResult
from autograder.results.atomic import LedgerError, write_atomically
from autograder.results.standings import Standing
from autograder.submissions.answers import read_answers
from autograder.submissions.read import read_submission

COPY_BYTES = 64 << 20  # a larger file of a student's is not copied
RELEASE_KEY = "submission_secret.txt"  # of nbgrader's exchange: by it a student finds the feedback, so it goes where the notebook goes


@dataclass(frozen=True)
class FolderUpdate:
    written: int  # files
    unchanged: int


def write_course_folder(folder: Path, course: Course, standings: Sequence[Standing], by_hand: HandGraded, submissions: Path) -> FolderUpdate:
    """Bring the folder up to date with the standings; write the gradebook first. Raises LedgerError.

    submissions: where the graded files lie; of those that are not there, the copies in the folder itself are read.
    """
    writer = _Writer(folder, course, submissions)
    for assignment in course.assignments:
        _make_folder(folder / "source" / assignment.folder)
        for name, content in source_files(REPOSITORY, assignment).items():
            writer.write(folder / "source" / assignment.folder / name, content)
        entries = [entry for entry in standings if entry.report.assignment == assignment.folder and presentable(entry.report.student)]
        suite = newest_tests(entry.report for entry in entries)
        for entry in entries:
            writer.submission(assignment, entry.report, suite, by_hand.questions.get(assignment.folder, ()))
    return FolderUpdate(writer.written, writer.unchanged)


def graded_notebook(
    course: Course, assignment: Assignment, handed: Path, report: Report, suite: Sequence[TestResult], questions: Sequence[Question]
) -> tuple[dict[str, Any], str | None]:
    """The autograded notebook of what lies in `handed`, and the text that was graded: None when it is not the one that lies there."""
    limits = course.limits
    reading = read_submission(handed, assignment.name, limits.source_bytes, given_stub(assignment.folder), limits.notebook_bytes)
    source = reading.text if reading.sha256 == report.submission_sha256 else None
    answers = read_answers(handed, assignment.name) if questions else {}
    return autograded_notebook(report, source, suite, questions, answers), source


@dataclass
class _Writer:
    folder: Path
    course: Course
    submissions: Path
    written: int = 0
    unchanged: int = 0

    def submission(self, assignment: Assignment, report: Report, suite: Sequence[TestResult], questions: Sequence[Question]) -> None:
        autograded, submitted = (self.folder / step / student_key(report.student) / assignment.folder for step in ("autograded", "submitted"))
        names = (f"{assignment.name}.ipynb", f"{assignment.name}.py", "timestamp.txt")
        if report.status is Status.MISSING or not suite:
            _remove(autograded, (*names, RELEASE_KEY))
            return
        handed = self.submissions / report.student / assignment.folder
        if not handed.is_dir():  # graded from somewhere else
            handed = submitted
        notebook, source = graded_notebook(self.course, assignment, handed, report, suite, questions)
        self.write(autograded / names[0], notebook_bytes(notebook))
        _make_folder(submitted)
        if handed != submitted and not handed.is_symlink() and not handed.parent.is_symlink():
            self._copy(handed / names[1], submitted / names[1])
            if (handed / names[0]).exists() or source is None:
                self._copy(handed / names[0], submitted / names[0])
            else:  # nbgrader gives 0 for everything where it finds no notebook
                self.write(submitted / names[0], notebook_bytes(code_notebook(source)))
        for place in (autograded, submitted):
            self._write_timestamp(place / names[2], report)
        if (submitted / RELEASE_KEY).exists():
            self._copy(submitted / RELEASE_KEY, autograded / RELEASE_KEY)

    def _write_timestamp(self, path: Path, report: Report) -> None:
        """nbgrader takes a submission for graded when this is the database's time, to the microsecond."""
        if report.submitted_at is None:
            _remove(path.parent, [path.name], folder=False)
        else:
            self.write(path, f"{parse_time(report.submitted_at).replace(tzinfo=None).isoformat(' ')} UTC\n".encode())

    def write(self, path: Path, content: bytes) -> None:
        with contextlib.suppress(OSError):
            if path.stat().st_size == len(content) and path.read_bytes() == content:
                self.unchanged += 1
                return
        write_atomically(path, content)
        self.written += 1

    def _copy(self, source: Path, target: Path) -> None:
        """A copy of a student's file, if it is a plain file that is not yet there; its time of change tells one from another."""
        try:
            descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            _remove(target.parent, [target.name], folder=False)
            return
        with os.fdopen(descriptor, "rb") as file:
            details = os.fstat(descriptor)
            if not stat.S_ISREG(details.st_mode) or details.st_size > COPY_BYTES:
                _remove(target.parent, [target.name], folder=False)
                return
            with contextlib.suppress(OSError):
                there = target.stat(follow_symlinks=False)
                if (there.st_size, there.st_mtime_ns) == (details.st_size, details.st_mtime_ns):
                    self.unchanged += 1
                    return
            write_atomically(target, file.read(COPY_BYTES))
        os.utime(target, ns=(details.st_mtime_ns, details.st_mtime_ns))
        self.written += 1


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(f"{path} cannot be made: {error.strerror}; check the folder, or name another one with --folder") from error


def _remove(path: Path, names: Sequence[str], *, folder: bool = True) -> None:
    """Delete files of ours, and their folder when nothing else is in it."""
    for name in names:
        with contextlib.suppress(OSError):
            (path / name).unlink()
    if folder:
        with contextlib.suppress(OSError):
            path.rmdir()
