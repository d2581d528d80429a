"""Grade a class: what changed since the last run, in parallel, each report kept as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

from autograder.course.course import Course
from autograder.grading.fingerprint import fingerprint, suite_sha256
from autograder.grading.jobs import abandon, grade_task
from autograder.grading.paths import given_stub
from autograder.grading.seeds import submission_seed
from autograder.grading.suite_error import SuiteError
from autograder.grading.task import SandboxMode, Task
from autograder.reports.model import Report
from autograder.reports.text import one_line
from autograder.results.ledger import Ledger
from autograder.sandbox.errors import SandboxError, ZygoteDiedError
from autograder.submissions.find import Handed, SubmissionsError
from autograder.submissions.read import read_submission


@dataclass
class Counts:
    """What a run did."""

    graded: list[Report] = field(default_factory=list)
    unchanged: int = 0
    failures: list[str] = field(default_factory=list)  # submissions without a grade, and why


@dataclass(frozen=True)
class Run:
    """Everything that a run of the class needs besides the submissions."""

    course: Course
    ledger: Ledger
    secret: bytes
    sandbox: SandboxMode
    jobs: int
    force: bool = False
    seeds: Mapping[tuple[str, str], str] | None = None  # by student and assignment, in place of the secret: those of a shard

    def pending(self, handed: Iterable[Handed]) -> Iterator[Task]:
        """The gradings that there would be, without doing any."""
        for entry in handed:
            task = self._task(entry)
            if self.force or self.ledger.find(task.assignment, task.student, task.fingerprint) is None:
                yield task

    def execute(self, handed: tuple[Handed, ...], executor_of: Callable[[], Executor], progress: Callable[[str], None]) -> Counts:
        """Grade what changed. `progress` is called with a student's name for each submission done with."""
        counts = Counts()
        tasks = self._tasks(handed, counts, progress)
        first = next(tasks, None)
        if first is None:
            return counts
        suspects = self._drain(first, tasks, executor_of, counts, progress)
        self._try_alone(suspects, executor_of, counts, progress)
        return counts

    def _tasks(self, handed: tuple[Handed, ...], counts: Counts, progress: Callable[[str], None]) -> Iterator[Task]:
        """The gradings to do, made one at a time so that a large class costs no memory."""
        for entry in handed:
            task = self._task(entry)
            known = None if self.force else self.ledger.find(task.assignment, task.student, task.fingerprint)
            if known is None:
                yield task
            else:
                self.ledger.mark_current(known)
                counts.unchanged += 1
                progress(task.student)

    def _task(self, entry: Handed) -> Task:
        limits = self.course.limits
        reading = read_submission(
            entry.folder, entry.assignment.name, limits.source_bytes, given_stub(entry.assignment.folder), limits.notebook_bytes
        )
        folder = entry.assignment.folder
        if self.seeds is None:
            seed = submission_seed(self.secret, folder, reading.sha256)
        elif (entry.student, folder) in self.seeds:
            seed = self.seeds[entry.student, folder]
        else:
            raise SubmissionsError(f"there is no seed for {entry.student}, {folder}: cut the class into shards again")
        name = fingerprint(folder, reading, suite_sha256(entry.assignment.name), seed, self.course.limits, self.sandbox)
        attempt = self.ledger.next_attempt(folder, entry.student, reading.sha256)
        return Task(entry.student, folder, reading, name, seed, attempt, self.course.limits, self.sandbox)

    def _drain(
        self,
        first: Task,
        tasks: Iterator[Task],
        executor_of: Callable[[], Executor],
        counts: Counts,
        progress: Callable[[str], None],
    ) -> list[Task]:
        """Grade all `tasks`. Returns those that were running when a grader's process died: which of them killed it is not known."""
        executor = executor_of()
        suspects: list[Task] = []
        try:
            waiting: dict[Future[Report], Task] = {_submit(executor, first): first}
            more = True
            while waiting or more:
                while more and len(waiting) < 2 * self.jobs:
                    task = next(tasks, None)
                    if task is None:
                        more = False
                        break
                    waiting[_submit(executor, task)] = task
                if not waiting:
                    break
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                broken = False
                for future in [future for future in waiting if future in finished]:  # in the order of the class
                    task = waiting.pop(future)
                    try:
                        self._finish(task, future, counts)
                    except BrokenProcessPool:
                        suspects.append(task)
                        broken = True
                        continue
                    progress(task.student)
                if broken:
                    suspects += waiting.values()
                    waiting.clear()
                    abandon(executor)
                    executor = executor_of()
        except BaseException:
            abandon(executor)
            raise
        executor.shutdown(wait=True)
        return suspects

    def _try_alone(self, suspects: list[Task], executor_of: Callable[[], Executor], counts: Counts, progress: Callable[[str], None]) -> None:
        for task in suspects:
            executor = executor_of()
            try:
                self._finish(task, _submit(executor, task), counts)
            except BrokenProcessPool:
                counts.failures.append(f"{_named(task)}: the grader's own process died while it graded this; run again")
            finally:
                abandon(executor)
            progress(task.student)

    def _finish(self, task: Task, future: Future[Report], counts: Counts) -> None:
        """Keep the report; one submission that cannot be graded leaves the others theirs."""
        try:
            report = future.result()
        except (BrokenProcessPool, SandboxError, SuiteError):
            raise  # the machine's or the course's fault: no submission could be graded so
        except ZygoteDiedError:
            counts.failures.append(f"{_named(task)}: the process that starts workers died, twice; run again")
            return
        except Exception as error:
            text = one_line(f"{type(error).__name__}: {error}", 200)
            counts.failures.append(f"{_named(task)}: the grader made an error of its own ({text}); every other submission is graded")
            return
        self.ledger.write(report)
        self.ledger.mark_current(report)
        counts.graded.append(report)


def _submit(executor: Executor, task: Task) -> Future[Report]:
    """Submitting to a pool that has just broken fails like a grading that it broke."""
    try:
        return executor.submit(grade_task, task)
    except BrokenProcessPool as error:
        future: Future[Report] = Future()
        future.set_exception(error)
        return future


def _named(task: Task) -> str:
    return f"{one_line(task.student, 80)}, {task.assignment}"
