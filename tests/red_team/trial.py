"""One attack tried on a grader, under any layers of isolation, and everything that it got by it."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from rich.console import Console
from targets import Targets, descendants, end, left_processes
from warm_grader import CANARY, LIMITS, ROOT, reading_of

from autograder.course.course import Limits, load_course
from autograder.grading.grade import Grader
from autograder.grading.task import SandboxMode, Task
from autograder.grading.zygotes import Zygotes
from autograder.hidden_tests.rules import Rules
from autograder.posting.content import content_of
from autograder.reports.console import RunCounts, grades_table
from autograder.reports.feedback import feedback_html, feedback_markdown
from autograder.reports.model import Report, Status, to_json
from autograder.results.standings import standing
from autograder.sandbox.errors import ZygoteDiedError
from autograder.sandbox.zygote import Zygote
from autograder.submissions.read import Reading

SUBMISSIONS = Path(__file__).parent / "submissions"
HASTE = replace(LIMITS, call_seconds=1.0, submission_seconds=1.2)  # for what never ends
# What an attack is appended to, by the beginning of its name: a submission that is wrong in earnest, where points for cost are at stake one that is
# right but expensive, and where only right work is asked further, one that is right.
BASES = {
    "heads": ("03_multi_head_attention", SUBMISSIONS / "_zeros_multi_head_attention.py"),
    "cost": ("09_flash_attention", SUBMISSIONS / "_naive_flash_attention.py"),
    "state": ("03_multi_head_attention", ROOT / "reference_solutions" / "multi_head_attention.py"),
    "": ("01_attention", SUBMISSIONS / "_zeros_attention.py"),
}

HARMS_OTHERS = {"harms the forking process", "changes the next submission's report", "leaves processes"}


@dataclass(frozen=True)
class Expected:
    """What the report must say."""

    flags: tuple[str, ...] = ()  # of the instructor
    message: str = ""  # of the whole report, or of one of its tests
    status: Status = Status.GRADED
    hasty: bool = False


@dataclass(frozen=True)
class Trial:
    """breaches: what the attack got, each in a few words; none when it was stopped and told of."""

    report: Report | None
    breaches: tuple[str, ...]


class LayeredZygotes(Zygotes):
    """Forking processes under these layers and no others; "off" for none, not even what every worker has."""

    def __init__(self, layers: str) -> None:
        super().__init__()
        self._layers = layers

    def of(self, mode: SandboxMode, rules: Rules) -> Zygote:
        if self._first is None:
            wanted = set() if self._layers in ("off", "none") else set(self._layers.split("+"))
            self._first = Zygote.start(mode, layers=wanted)
        return super().of(mode, rules)


@contextmanager
def grader_under(layers: str) -> Iterator[tuple[Grader, SandboxMode]]:
    with Grader() as grader:
        grader._zygotes = LayeredZygotes(layers)
        prepare(grader)
        yield grader, "off" if layers == "off" else "best"


def prepare(grader: Grader) -> None:
    """Canaries in the grader's memory, beside the hidden tests and the reference; no naming of mistakes, which is most of the work and no
    part of what is tried here."""

    class NoDiagnosis:
        def diagnose(self, failures: object) -> dict[str, object]:
            return {}

    grader._diagnostician = lambda _name: NoDiagnosis()  # type: ignore[method-assign,assignment,return-value]
    for assignment, _ in BASES.values():
        module = grader.suite(assignment[3:])._plugin.reference_module._module
        vars(module)["CANARY"] = CANARY


def names() -> list[str]:
    return sorted(path.stem for path in SUBMISSIONS.glob("*.py") if not path.stem.startswith("_"))


def aim_of(name: str) -> str:
    """The sentence at the head of an attack's file."""
    text = (SUBMISSIONS / f"{name}.py").read_text()
    match = re.match(r'"""(.*?)"""', text, re.DOTALL)
    return " ".join(match[1].split()) if match else ""


def base_of(name: str) -> tuple[str, Path]:
    return next(base for prefix, base in BASES.items() if name.startswith(prefix))


def text_of(name: str, targets: Targets) -> str:
    text = f"{base_of(name)[1].read_text()}\n\n{(SUBMISSIONS / name).with_suffix('.py').read_text()}"
    for placeholder, value in targets.placeholders.items():
        text = text.replace(placeholder, value)
    return text


def grade_with(grader: Grader, mode: SandboxMode, reading: Reading | str, assignment: str, student: str, limits: Limits = LIMITS) -> Report:
    reading = reading_of(reading) if isinstance(reading, str) else reading
    return grader.grade(Task(student, assignment, reading, "fingerprint", "5eed" * 8, 1, limits, mode))


@cache
def worth_of_base(grader: Grader, mode: SandboxMode, base: tuple[str, Path]) -> float:
    """What the same submission earns without the attack."""
    return grade_with(grader, mode, base[1].read_text(), base[0], "zoe").score


def sibling(grader: Grader, mode: SandboxMode) -> str:
    """The next submission's report, without its times."""
    report = grade_with(grader, mode, (SUBMISSIONS / "_sibling_attention.py").read_text(), "01_attention", "sib")
    return to_json(replace(report, graded_at="", wall_seconds=0, cpu_seconds=0, peak_memory_bytes=0))


sibling_alone = cache(sibling)  # before any attack


def attempt(name: str, expected: Expected, targets: Targets, grader: Grader, mode: SandboxMode) -> Trial:
    worth, alone = worth_of_base(grader, mode, base_of(name)), sibling_alone(grader, mode)
    files, processes = targets.files(), descendants()
    elsewhere, kernel = targets.left_elsewhere(), targets.left_in_the_kernel()
    breaches: list[str] = []
    report = None
    try:
        report = grade_with(grader, mode, text_of(name, targets), base_of(name)[0], name, HASTE if expected.hasty else LIMITS)
    except ZygoteDiedError:
        breaches.append("harms the forking process")
    if report is not None:
        breaches += _told(report, expected, worth) + _shown(report)
    if targets.reached():
        breaches.append("reaches a socket")
    if targets.files() != files or targets.left_elsewhere() != elsewhere:
        breaches.append("changes files")
    if targets.left_in_the_kernel() != kernel:
        breaches.append("leaves something in the kernel")
    if targets.bystander_state() != "S":
        breaches.append("harms another process")
    if left := left_processes(processes):
        breaches.append("leaves processes")
        end(left)
    try:
        if sibling(grader, mode) != alone:
            breaches.append("changes the next submission's report")
    except ZygoteDiedError:
        breaches.append("harms the forking process")
    if breaches:
        targets.restore()
    return Trial(report, tuple(breaches))


def _told(report: Report, expected: Expected, worth: float) -> list[str]:
    breaches = []
    if report.status is not expected.status:
        breaches.append("gets hold of something" if "SystemExit" in to_json(report) or "its process" in report.message else f"is {report.status}")
    if report.score > worth:
        breaches.append("gains points")
    messages = [report.message, *(test.message for test in report.tests)]
    if not breaches and not any(expected.message.lower() in message.lower() for message in messages):
        breaches.append("is not told to its student")
    if any(not any(flag in given for given in report.flags) for flag in expected.flags):
        breaches.append("is not told to the instructor")
    return breaches


def _shown(report: Report) -> list[str]:
    """Whether anything hidden stands in the report or in what is made from it."""
    breaches = []
    pages = pages_of(report)
    if any(CANARY[-32:] in page for page in pages):
        breaches.append("shows a secret")
    for shown in (report.message, *(test.message for test in report.tests), *report.flags):
        if re.search(r"\d{6,}|\d[._]\d{4,}|\d,\d{3},\d{3},\d{3}|smuggled", shown):
            breaches.append("shows an input")
            break
    if any(active_content(page) for page in pages[1:3]):
        breaches.append("shows active content")
    if any(character in page for page in pages for character in "\x1b\x07\u202e\u200b\u2066"):
        breaches.append("shows control characters")
    return breaches


def pages_of(report: Report) -> list[str]:
    """The report, its feedback as a page and as Markdown, what is posted on GitHub, and the table of a terminal."""
    course = _course()
    entry, assignment = standing(report, course), course.find(report.assignment)
    content = content_of(entry, assignment, f"{report.assignment}/{assignment.name}.py")
    terminal = io.StringIO()
    Console(file=terminal, width=120).print(grades_table(course, [entry], RunCounts(1, 0)))
    posted = "\n".join([content.title, content.summary, content.details, *(f"{note.title} {note.message}" for note in content.annotations)])
    return [
        to_json(report),
        feedback_html(entry, assignment),
        feedback_markdown(entry, assignment),
        posted.replace("&#8203;", ""),
        terminal.getvalue(),
    ]


def active_content(page: str) -> bool:
    """Tags or attributes that a submission wrote: those of the attacks carry the word "hostile"."""
    return any("hostile" in html.unescape(tag) for tag in re.findall(r"<[a-z][^<>]*>", page, re.IGNORECASE))


@cache
def _course():
    return load_course(ROOT / "course.toml")
