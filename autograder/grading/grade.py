"""Grade one submission: the hidden suite on this side, the student's code in its worker, a report in between."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autograder.authoring.stubs import stub_source
from autograder.checking.assertions import listen_to_comparisons
from autograder.checking.notebook import Place, place_of
from autograder.checking.submission import LocalSubmission
from autograder.grading.answers import Transcript
from autograder.grading.diagnosis import Diagnostician, Failure
from autograder.grading.errors import SubmissionError, WithheldError, WorkerLostError
from autograder.grading.fingerprint import grader_sha256, suite_sha256, torch_version
from autograder.grading.memory import memory_for_answers
from autograder.grading.messages import Verdict, verdict_on
from autograder.grading.paths import HIDDEN_TESTS, REFERENCES
from autograder.grading.remote import RemoteSubmission
from autograder.grading.seeds import seed_for_test
from autograder.grading.suite import ExpectedTest, Finished, Suite
from autograder.grading.task import Task
from autograder.grading.worker_link import Source, WorkerLink, short_name
from autograder.grading.zygotes import Zygotes
from autograder.hidden_tests.rules import rules_of
from autograder.misconceptions.bank import load_bank, load_kills
from autograder.reports.model import Diagnosis, Isolation, Outcome, Report, Status, TestResult
from autograder.sandbox.errors import ZygoteDiedError

_MAX_TAINTED_FLAGS = 20


@dataclass
class Finding:
    """What grading one submission brought out, before it is a report."""

    status: Status
    tests: list[TestResult]
    message: str = ""
    flags: list[str] = field(default_factory=list)


class Grader:
    """Grades one submission after the other; keeps the suites collected and the forking process warm. Close it when done."""

    def __init__(self, hidden_tests: Path = HIDDEN_TESTS, references: Path = REFERENCES) -> None:
        self._hidden_tests = hidden_tests
        self._references = references
        self._suites: dict[str, Suite] = {}
        self._diagnosticians: dict[str, Diagnostician] = {}
        self._stubs: dict[str, str] = {}
        self._zygotes = Zygotes()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._zygotes.close()
        for suite in self._suites.values():
            suite.close()
        self._suites.clear()

    def suite(self, name: str) -> Suite:
        if name not in self._suites:
            self._suites[name] = Suite(name, self._hidden_tests, self._references)
        return self._suites[name]

    def grade(self, task: Task) -> Report:
        """The report. Raises SandboxError when the isolation asked for cannot be had, SuiteError when the course is at fault."""
        suite = self.suite(task.name)
        started, cpu_before = time.monotonic(), _own_cpu_seconds()
        link = None
        isolation = Isolation(task.sandbox, ())
        if task.reading.status is not Status.GRADED:
            finding = Finding(task.reading.status, [_not_run(test, "") for test in suite.manifest], task.reading.message)
        else:
            link, finding = self._judge_in_a_worker(task, suite)
            isolation = link.zygote.isolation
            with contextlib.suppress(ZygoteDiedError):
                link.close()
        cpu_seconds = _own_cpu_seconds() - cpu_before + (link.cpu_seconds if link else 0.0)
        return Report(
            student=task.student,
            assignment=task.assignment,
            status=finding.status,
            score=sum(test.points for test in finding.tests),
            max_score=suite.points,
            tests=tuple(finding.tests),
            fingerprint=task.fingerprint,
            submission_sha256=task.reading.sha256,
            suite_sha256=suite_sha256(task.name, self._hidden_tests, self._references),
            grader_sha256=grader_sha256(),
            torch_version=torch_version(),
            seed=task.seed,
            sandbox=isolation,
            attempt=task.attempt,
            graded_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            submitted_at=task.reading.submitted_at,
            wall_seconds=round(time.monotonic() - started, 4),
            cpu_seconds=round(cpu_seconds, 4),
            peak_memory_bytes=link.peak_memory_bytes if link else 0,
            message=finding.message,
            flags=(*task.reading.notes, *finding.flags),
            notes=task.reading.remarks,
        )

    def _judge_in_a_worker(self, task: Task, suite: Suite) -> tuple[WorkerLink, Finding]:
        """Once more, with nothing kept of the broken attempt, when what broke it may not have been the submission: what is comes again.

        A second death of the zygote is an error of the machine: raises ZygoteDiedError.
        """
        try:
            link, finding = self._judge_once(task, suite)
            if not link.killed:
                return link, finding
            link.close()
        except ZygoteDiedError:
            self._zygotes.close()
        return self._judge_once(task, suite)

    def _judge_once(self, task: Task, suite: Suite) -> tuple[WorkerLink, Finding]:
        link = self._open(task)
        finding = self._judge(task, suite, link)
        if link.died is not None:
            raise link.died
        return link, finding

    def _open(self, task: Task) -> WorkerLink:
        rules = rules_of(task.name)
        return WorkerLink(self._zygotes.of(task.sandbox, rules), Source(f"{task.name}.py", task.reading.text), rules, task.limits)

    def _judge(self, task: Task, suite: Suite, link: WorkerLink) -> Finding:
        places = task.reading.places
        filename = f"{task.name}.ipynb" if places else f"{task.name}.py"
        try:
            findings = link.analyse()
        except (WorkerLostError, SubmissionError) as error:
            return Finding(Status.BROKEN, [_not_run(test, "") for test in suite.manifest], str(error))
        flags = [f"{_where(places, line)}: {words}" for line, words in findings["flags"]]
        if findings["syntax_error"]:
            line, words = findings["syntax_error"]
            message = f"{filename} is not valid Python, {_where(places, line)}: {words}."
            return Finding(Status.BROKEN, [_not_run(test, "") for test in suite.manifest], message, flags)
        try:
            link.load()
        except (WorkerLostError, SubmissionError) as error:
            message = f"{filename} could not be loaded. {verdict_on(error, self._public_text(task), filename, places).message}"
            return Finding(Status.BROKEN, [_not_run(test, "") for test in suite.manifest], message, flags + _forbidden_flags(link))
        tainted = {name: (operation, line) for name, (operation, line) in findings["tainted"].items()}
        flags += _tainted_flags(tainted, places)
        with memory_for_answers():
            uncounted, intrusive = (next(iter(findings[kind]), None) for kind in ("uncounted", "intrusive"))
            submission = RemoteSubmission(link, tainted, self._public_text(task), filename, uncounted, intrusive)
            tests = self.run_suite(task, submission, flags, withheld=_withheld_for(findings["native"]))
        if link.measured:
            flags += [f"{_where(places, line)}: {words}" for line, words in findings["outside_torch"]]
        return Finding(Status.GRADED, tests, "", flags + _forbidden_flags(link))

    def run_suite(
        self,
        task: Task,
        submission: RemoteSubmission | LocalSubmission,
        flags: list[str],
        *,
        costly: bool = True,
        only: Collection[str] | None = None,
        withheld: WithheldError | None = None,
    ) -> list[TestResult]:
        """Every test with its verdict and diagnosis. In a grading the submission is in its worker; an author's own may be in this process.

        `costly`, `only`: which tests, as in `Suite.run`; a grading runs all. `withheld`: why no test that passes earns anything.
        """
        suite, filename = self.suite(task.name), f"{task.name}.py"
        public_text = self._public_text(task)
        places = task.reading.places
        transcripts: dict[str, Transcript] = {}
        verdicts: dict[str, Verdict] = {}
        results: list[TestResult] = []

        @contextlib.contextmanager
        def observing(test: ExpectedTest) -> Iterator[None]:
            transcript = transcripts[test.id] = Transcript()
            with submission.observed_by(transcript.note), listen_to_comparisons(transcript.note_comparison):
                yield

        for test, finished in suite.run(submission, lambda test_id: seed_for_test(task.seed, test_id), observing, costly=costly, only=only):
            if finished is not None and finished.raised is None and submission.lost is not None:
                finished = Finished(submission.lost)  # a test that catches what it should not hides no lost worker
            if finished is not None and finished.raised is None and withheld is not None:
                finished = Finished(withheld)
            raised = finished.raised if finished is not None else None
            verdict = verdict_on(raised, public_text, filename, places) if raised is not None else None
            result = _result(test, finished, verdict, places)
            results.append(result)
            if verdict is None or finished is None:
                transcripts.pop(test.id, None)  # memory stays flat
                continue
            verdicts[test.id] = replace(verdict, diagnosable=False) if test.costly else verdict  # a replay costs as much
            if verdict.suite_fault:
                flags.append(f"{test.id} raised {type(finished.raised).__name__} in the suite's own code: look at the suite")
        failures = [
            Failure(test_id, seed_for_test(task.seed, test_id), transcripts[test_id]) for test_id, verdict in verdicts.items() if verdict.diagnosable
        ]
        named = self._diagnostician(task.name).diagnose(failures) if failures else {}
        return _with_diagnoses(results, named)

    def _public_text(self, task: Task) -> str:
        """What the student knows already: the submission and the stub. An error's text may name what stands there."""
        if task.name not in self._stubs:
            self._stubs[task.name] = stub_source((self._references / f"{task.name}.py").read_text(encoding="utf-8"))
        return f"{task.reading.text}\n{self._stubs[task.name]}"

    def _diagnostician(self, name: str) -> Diagnostician:
        if name not in self._diagnosticians:
            reference = (self._references / f"{name}.py").read_text(encoding="utf-8")
            self._diagnosticians[name] = Diagnostician(self.suite(name), load_bank(name), reference, load_kills(name))
        return self._diagnosticians[name]


def _result(test: ExpectedTest, finished: Finished | None, verdict: Verdict | None, places: tuple[Place, ...]) -> TestResult:
    if finished is None:
        return _not_run(test, f"Not run: it says something only once these pass: {', '.join(test.requires)}.")
    if verdict is None:
        return TestResult(test.id, test.title, Outcome.PASSED, test.points, test.points)
    place = place_of(places, verdict.line) if verdict.line is not None else ""
    return TestResult(test.id, test.title, Outcome.FAILED, 0.0, test.points, verdict.message, line=verdict.line, place=place)


def _not_run(test: ExpectedTest, message: str) -> TestResult:
    return TestResult(test.id, test.title, Outcome.NOT_RUN, 0.0, test.points, message)


def _with_diagnoses(results: list[TestResult], named: Any) -> list[TestResult]:
    """The results with their misconceptions, and titles in place of ids where a test waits for another."""
    titles = {result.id: result.title for result in results}
    finished = []
    for result in results:
        diagnosis: Diagnosis | None = named.get(result.id)
        message = result.message
        if result.outcome is Outcome.NOT_RUN:
            for test_id, title in sorted(titles.items(), reverse=True):  # a longer id before one that begins it
                message = message.replace(test_id, f"“{title.rstrip('.')}”")
        finished.append(replace(result, misconception=diagnosis, message=message))
    return finished


def _withheld_for(native: list[tuple[int, str]]) -> WithheldError | None:
    """Machine code of a submission's own may take back what its process forbids: then nothing shows that it did the work by hand."""
    if not native:
        return None
    line, words = native[0]
    return WithheldError(f"Your code may do what this test asks, but it {words}, and machine code can do what the handout does not allow.", line)


def _where(places: tuple[Place, ...], line: int) -> str:
    return place_of(places, line) or f"line {line}"


def _tainted_flags(tainted: dict[str, tuple[str, int]], places: tuple[Place, ...]) -> list[str]:
    flags = [f"{_where(places, line)}: {name} uses {short_name(operation)}" for name, (operation, line) in sorted(tainted.items())]
    more = len(flags) - _MAX_TAINTED_FLAGS
    return flags if more <= 0 else [*flags[:_MAX_TAINTED_FLAGS], f"and {more} more definitions like these"]


def _forbidden_flags(link: WorkerLink) -> list[str]:
    return [f"called {name}, which is to be written by hand" for name in link.forbidden]


def _own_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
