"""`autograder verify`: prove a hidden suite by every solution that is known to be right and every mistake that is known.

The reference and each alternative get full marks, the stub none, each misconception loses points and is named as itself; no
verdict hangs on the seed; tolerances lie far from both sides; points add up; stub and notebook are in step with the reference.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from autograder.authoring.examine import Examination, Measured, grade, measure, rehearse
from autograder.authoring.generate import GenerateError, stale
from autograder.authoring.kill_matrix import kill_matrix_markdown
from autograder.authoring.stubs import stub_source
from autograder.course.course import Assignment, Course, load_course
from autograder.grading.jobs import local_executor
from autograder.grading.paths import REFERENCES, REPOSITORY
from autograder.grading.task import Task
from autograder.misconceptions.bank import KILLS, Misconception, kills_text, load_bank, load_kills
from autograder.reports.model import Status
from autograder.submissions.read import Reading

ALTERNATIVES = REPOSITORY / "tests" / "alternative_solutions"
KILL_MATRICES = REPOSITORY / "docs" / "kill_matrix"
SEEDS = ("first", "second", "third")
_FACTOR = 8.0  # between the worst correct error, the bound and the smallest wrong error
# Bounds that follow from float32's own rounding of angles, and from a measured worst case: the correct error is known to be nearer.
_NEARER = {"table": 3.0, "low precision": 2.0}


@dataclass
class Proof:
    """What came of one assignment. Sound when there is no problem."""

    assignment: Assignment
    bank: tuple[Misconception, ...]
    reference: Examination
    wrong: dict[str, Examination]
    right: dict[str, Examination]
    stub: Examination
    problems: list[str] = field(default_factory=list)


def verify_course(course_path: Path, names: Sequence[str], jobs: int | None, *, write_docs: bool, console: Console | None = None) -> int:
    """Exit code: 0 when every suite asked for is proved, 1 when one is not."""
    console = console or Console()
    course = load_course(course_path)
    assignments = [course.find(name) for name in names] or list(course.assignments)
    with Progress(*Progress.get_default_columns(), console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task("Verifying")
        found = examine_all(
            course, assignments, jobs, lambda done, total: bar.update(line, completed=done, total=total), seeds=SEEDS, write_kills=write_docs
        )
    sound = True
    for assignment in assignments:
        proof = judge(course, assignment, found[assignment.name])
        sound = sound and not proof.problems
        _show(console, proof)
        if write_docs:
            wrong = {name: examination.report for name, examination in proof.wrong.items()}
            KILL_MATRICES.mkdir(parents=True, exist_ok=True)
            page = kill_matrix_markdown(assignment, proof.bank, proof.reference.report, wrong)
            (KILL_MATRICES / f"{assignment.name}.md").write_text(page, encoding="utf-8")
    for problem in _drift(course_path.resolve().parent):
        sound = False
        console.print(f"not sound: {problem}", style="bold red", markup=False)
    return 0 if sound else 1


def examine_all(
    course: Course,
    assignments: Sequence[Assignment],
    jobs: int | None,
    progress: Callable[[int, int], None],
    *,
    seeds: tuple[str, ...] = SEEDS,
    write_kills: bool = False,
    rehearse_mistakes: bool = False,
) -> dict[str, dict[str, Examination]]:
    """Every known solution of each assignment examined: {"attention": {"reference": …, "stub": …, "right: terse": …, "wrong: no-scale": …}}.

    First measured, which tells what each misconception fails; then graded, which looks that up to name it. `write_kills` keeps it.
    `rehearse_mistakes`: right solutions are only graded, and most misconceptions only run without a worker, on one seed, as far as the
    first of their tests that names them: no margins, and a fraction of the time.
    """
    tasks = {
        (assignment.name, title): _task(course, assignment, source) for assignment in assignments for title, source in _solutions(assignment).items()
    }
    total = 2 * len(tasks)
    found: dict[str, dict[str, Examination]] = {assignment.name: {} for assignment in assignments}
    with local_executor(jobs or os.cpu_count() or 1) as executor:
        rehearsed: dict[tuple[str, str], Any] = {}
        if rehearse_mistakes:
            mistakes = {key: replace(task, seed=seeds[0]) for key, task in tasks.items() if key[1].startswith("wrong: ")}
            waiting = {executor.submit(rehearse, task, key[1].removeprefix("wrong: ")): key for key, task in mistakes.items()}
            found_so = _collected(waiting, lambda done: progress(done, total))
            rehearsed = {key: tests for key, tests in found_so.items() if tests is not None}
            tasks = {key: task for key, task in tasks.items() if key not in rehearsed}
        measured_seeds = () if rehearse_mistakes else seeds
        measured = _for_each(executor, tasks, lambda task: (measure, task, measured_seeds), lambda done: progress(done, total))
        if write_kills:
            for assignment in assignments:
                _write_kills(assignment.name, {title: entry for (name, title), entry in measured.items() if name == assignment.name})
        graded = _for_each(executor, tasks, lambda task: (grade, task), lambda done: progress(len(tasks) + done, total))
    for (name, title), entry in measured.items():
        found[name][title] = Examination(entry.failed, entry.margins, graded[name, title])
    for (name, title), tests in rehearsed.items():
        failed = frozenset(test.id for test in tests if test.points < test.max_points)
        report = replace(graded[name, "reference"], tests=tuple(tests), score=sum(test.points for test in tests))
        found[name][title] = Examination((failed,), {}, report)
    return found


def _for_each(
    executor: Executor, tasks: Mapping[tuple[str, str], Task], call: Callable[[Task], tuple[Any, ...]], progress: Callable[[int], None]
) -> dict[tuple[str, str], Any]:
    return _collected({executor.submit(*call(task)): key for key, task in tasks.items()}, progress)


def _collected(waiting: Mapping[Future[Any], tuple[str, str]], progress: Callable[[int], None]) -> dict[tuple[str, str], Any]:
    found = {}
    for done, future in enumerate(as_completed(waiting), 1):
        found[waiting[future]] = future.result()
        progress(done)
    return found


def kills_of(found: Mapping[str, Measured]) -> dict[str, frozenset[str]]:
    """By misconception, the tests that did not pass for one seed or another."""
    wrong = {title.removeprefix("wrong: "): entry for title, entry in found.items() if title.startswith("wrong: ")}
    return {name: frozenset().union(*entry.failed) for name, entry in wrong.items()}


def _write_kills(name: str, found: Mapping[str, Measured]) -> None:
    KILLS.mkdir(exist_ok=True)
    (KILLS / f"{name}.json").write_text(kills_text(kills_of(found)), encoding="utf-8")


def judge(course: Course, assignment: Assignment, found: dict[str, Examination]) -> Proof:
    """Hold what came of all solutions of one assignment against what must come of them."""
    bank = load_bank(assignment.name)
    proof = Proof(
        assignment,
        bank,
        found["reference"],
        {entry.name: found[f"wrong: {entry.name}"] for entry in bank},
        {title.removeprefix("right: "): entry for title, entry in found.items() if title.startswith("right: ")},
        found["stub"],
    )
    problems = proof.problems
    if proof.reference.report.max_score != assignment.points:
        problems.append(f"the tests add up to {proof.reference.report.max_score:g} points, course.toml says {assignment.points:g}")
    for title, examination in {"the reference": proof.reference, **proof.right}.items():
        problems += _problems_of_right(title, examination)
    problems += _problems_of_stub(proof.stub)
    for entry in bank:
        problems += _problems_of_wrong(entry.name, proof.wrong[entry.name])
    problems += _problems_of_margins(proof)
    problems += _problems_of_kills(assignment.name, found)
    return proof


def _solutions(assignment: Assignment) -> dict[str, str]:
    reference = (REFERENCES / f"{assignment.name}.py").read_text(encoding="utf-8")
    solutions = {"reference": reference, "stub": stub_source(reference)}
    for path in sorted((ALTERNATIVES / assignment.name).glob("*.py")):
        solutions[f"right: {path.stem}"] = path.read_text(encoding="utf-8")
    for entry in load_bank(assignment.name):
        solutions[f"wrong: {entry.name}"] = entry.apply(reference)
    return solutions


def _task(course: Course, assignment: Assignment, source: str) -> Task:
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Task("verify", assignment.folder, Reading(Status.GRADED, digest, source), digest, digest, 1, course.limits, "best")


def _problems_of_right(title: str, examination: Examination) -> list[str]:
    missed = {test.title: test.message for test in examination.report.tests if test.points < test.max_points}
    problems = [f"{title} is right and fails “{test}”: {message}" for test, message in missed.items()]
    if examination.report.status is not Status.GRADED:
        problems.append(f"{title} is right and is {examination.report.status.value}: {examination.report.message}")
    for tests in examination.failed:
        problems += [f"{title} is right and fails {test} for another seed" for test in sorted(tests)]
    return problems


def _problems_of_stub(examination: Examination) -> list[str]:
    report = examination.report
    problems = [f"the stub gets {report.score:g} points"] if report.score else []
    unkind = [test.id for test in report.tests if test.message and "ot implemented yet" not in test.message and "Not run" not in test.message]
    return problems + [f"the stub fails {test} without saying that something is not implemented yet" for test in unkind]


def _problems_of_wrong(name: str, examination: Examination) -> list[str]:
    report = examination.report
    if report.score >= report.max_score:
        return [f"the misconception {name} gets full marks"]
    problems = [f"the misconception {name} gets full marks for another seed" for tests in examination.failed if not tests]
    named = [test.misconception.name for test in report.tests if test.misconception is not None]
    if name not in named:
        problems.append(f"the misconception {name} is not named")
    problems += [f"the misconception {name} is taken for {other}" for other in sorted(set(named) - {name})]
    return problems


def _problems_of_margins(proof: Proof) -> list[str]:
    problems = []
    for title, examination in {"the reference": proof.reference, **proof.right}.items():
        for test, margins in examination.margins.items():
            factor = _NEARER.get(margins.tolerance, _FACTOR)
            if margins.largest_passed * factor > 1:
                problems.append(
                    f"{test}: {title} is right and comes within a factor {1 / margins.largest_passed:.1f} of the bound ({margins.tolerance})"
                )
    for name, examination in proof.wrong.items():
        failed = frozenset().union(*examination.failed)
        clearest = max((examination.margins[test].smallest_failed for test in failed if test in examination.margins), default=float("inf"))
        if clearest < _FACTOR:
            problems.append(f"the misconception {name} exceeds every bound by a factor {clearest:.1f} at most")
    return problems


def _problems_of_kills(name: str, found: Mapping[str, Examination]) -> list[str]:
    known, measured = load_kills(name), kills_of(found)
    if known.keys() == measured.keys() and all(tests <= known[entry] for entry, tests in measured.items()):
        return []
    return [f"autograder/misconceptions/kills/{name}.json is out of step with the suite: run `make verify A={name}`"]


def _drift(repository: Path) -> list[str]:
    try:
        return [f"{path} is out of step with its reference: run `make generate`" for path in stale(repository)]
    except GenerateError as error:
        return [str(error)]


def _show(console: Console, proof: Proof) -> None:
    named = sum(1 for name, entry in proof.wrong.items() if {t.misconception.name for t in entry.report.tests if t.misconception} == {name})
    failed = sum(1 for entry in proof.wrong.values() if entry.report.score < entry.report.max_score)
    console.print(f"[bold]{proof.assignment.folder}[/]", highlight=False)
    for title, value in (
        ("reference", f"{proof.reference.report.score:g} of {proof.reference.report.max_score:g}"),
        ("stub", f"{proof.stub.report.score:g}"),
        (
            "alternatives",
            f"{sum(1 for entry in proof.right.values() if entry.report.score == entry.report.max_score)} of {len(proof.right)} with full marks",
        ),
        ("misconceptions", f"{failed} of {len(proof.wrong)} fail, {named} named"),
        ("seeds", f"{1 + len(proof.reference.failed)}, one of them in the sandbox"),
    ):
        console.print(f"  {title:16}{value}", highlight=False)
    width = max((len(name) for name in proof.wrong), default=0)
    console.print(f"  {'kill matrix':{width + 2}}tests in order; x failed, - not run, . passed", highlight=False)
    for name, entry in proof.wrong.items():
        marks = "".join({"passed": ".", "failed": "x", "not_run": "-"}[test.outcome.value] for test in entry.report.tests)
        console.print(f"    {name:{width}}  {marks}", highlight=False, markup=False)
    for problem in proof.problems:
        console.print(f"  not sound: {problem}", style="bold red", markup=False, highlight=False)
