"""What is done with a fuzzer's bytes, and what may come of it. Each target raises ViolationError or lets another error through: a finding."""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from autograder.checking.assertions import Mismatch, listen_to_comparisons
from autograder.checking.notebook import NotebookError, solution_source
from autograder.course.course import Limits
from autograder.grading.answers import OtherAnswerError, Rehearsal, Transcript
from autograder.grading.errors import SubmissionError, WorkerLostError
from autograder.grading.memory import memory_for_answers
from autograder.grading.messages import verdict_on
from autograder.grading.remote import RemoteHandle, RemoteSubmission
from autograder.grading.seeds import seed_for_test
from autograder.grading.suite import Suite
from autograder.grading.worker_link import Source, WorkerLink
from autograder.hidden_tests.rules import rules_of
from autograder.wire.codec import MAX_DEPTH, Decoder, WireError, decode_tensors
from autograder.wire.frame import ClosedError, DeadlinePassedError, read_frame
from tests.fuzz.clockwork import Answerer, Clock, FakeZygote, ViolationError, simulated
from tests.fuzz.scripts import Step, from_bytes

LIMITS = replace(Limits(), call_seconds=10.0, submission_seconds=60.0, reply_bytes=1 << 20, memory_bytes=1 << 24)
SUITE = "attention"
# What one input may cost this process: far above a reply of LIMITS and the tree of its header, far below what a lying number could ask for.
ROOM_BYTES = 300 << 20
SOURCE = "import torch\n\ndef f(x, flag=True): ...\n\nclass Thing: ...\n"


def frame(data: bytes) -> None:
    """A frame, its tensors and its values."""

    clock = Clock()
    ours, theirs = socket.socketpair()
    with ours, theirs, bounded():
        theirs.sendall(data[:100_000])
        theirs.close()
        with contextlib.suppress(WireError, ClosedError, DeadlinePassedError):
            header, payload = read_frame(ours, clock.now + 1e9, LIMITS.reply_bytes)
            tensors = decode_tensors(header.get("tensors", []), payload, dense=True)
            for tensor in tensors:
                _check(tensor, payload)
            value = header.get("value")
            inner = value["value"] if isinstance(value, dict) and "value" in value else value
            if _depth(Decoder(tensors, lambda _node: object()).decode(inner)) > MAX_DEPTH + 3:
                raise ViolationError("a value is nested too deeply")


def _check(tensor: Tensor, payload: bytearray) -> None:
    if tensor.untyped_storage().nbytes() > len(payload):
        raise ViolationError("a tensor is larger than its message")
    if tensor.dtype == torch.bool and tensor.view(torch.uint8).gt(1).any():
        raise ViolationError("a bool is neither true nor false")
    for dimension in range(tensor.dim()):
        tensor.double().sum(dimension)


def _depth(value: Any) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return 1 + max(map(_depth, items), default=0)


def link(data: bytes) -> None:
    """All that a grader ever asks a worker, answered by a script."""
    with simulated() as clock, bounded():
        converse(WorkerLink(FakeZygote(clock, from_bytes(data)), Source("f.py", SOURCE), rules_of(SUITE), LIMITS))  # type: ignore[arg-type]
        if clock.now > 1_000.0 + LIMITS.submission_seconds + 1:
            raise ViolationError("the grader took longer than a submission may")


def suite(data: bytes) -> None:
    """One hidden test, chosen by the first byte, its worker played by the script of the rest."""
    hidden = the_suite()
    test = hidden.manifest[data[0] % len(hidden.manifest)] if data else hidden.manifest[0]
    raised, transcript = sit(test.id, from_bytes(data[1:]))
    if raised is None:
        return
    verdict = verdict_on(raised, SOURCE, f"{SUITE}.py")
    if "grader itself" in verdict.message:
        raise ViolationError(f"{test.id}: {verdict.message}") from raised
    rehearse(transcript)


def notebook(data: bytes) -> None:
    """A notebook's text."""
    with contextlib.suppress(UnicodeDecodeError, NotebookError):
        solution_source(data.decode("utf-8")).encode("utf-8")


TARGETS: dict[str, Callable[[bytes], None]] = {"frame": frame, "link": link, "suite": suite, "notebook": notebook}


@cache
def the_suite() -> Suite:
    return Suite(SUITE)


def sit(test_id: str, steps: list[Step], answerer: Answerer | None = None) -> tuple[BaseException | None, Transcript]:
    """What a hidden test raised, and what it was answered."""
    transcript = Transcript()
    with simulated() as clock, bounded():
        zygote: Any = FakeZygote(clock, steps, answerer)
        line = WorkerLink(zygote, Source(f"{SUITE}.py", SOURCE), rules_of(SUITE), LIMITS)
        submission = RemoteSubmission(line, {})
        with submission.observed_by(transcript.note), listen_to_comparisons(transcript.note_comparison):
            finished = the_suite().run_one(test_id, submission, seed_for_test("5eed", test_id))
        line.close()
    if isinstance(finished.raised, ViolationError):
        raise finished.raised
    return finished.raised, transcript


def rehearse(transcript: Transcript) -> None:
    """Compare each answer with itself, as a replay of mistakes does with a variant's."""
    rehearsal = Rehearsal(transcript)
    for answer in list(transcript.answers):
        with contextlib.suppress(OtherAnswerError):
            rehearsal.note(answer)


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """An input that makes this process grow by more than ROOM_BYTES is a finding, whether it asks for the room at once or bit by bit."""
    peak = _peak_bytes()
    with memory_for_answers(ROOM_BYTES):
        try:
            yield
        except MemoryError as error:
            raise ViolationError("the grader ran out of the memory that answers may cost") from error
    if _peak_bytes() - peak > ROOM_BYTES:
        raise ViolationError("an answer took more memory than it may cost")


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@dataclass
class Conversation:
    """Asks; errors that are the submission's own are part of it."""

    transcript: Transcript = field(default_factory=Transcript)

    def attempt(self, action: Callable[[], Any]) -> Any:
        try:
            result = action()
        except (SubmissionError, WorkerLostError, Mismatch) as error:
            if len(str(error)) > 2_000:
                raise ViolationError("an error's words have no bound") from error
            return None
        self.transcript.note(result)
        return result


def converse(line: WorkerLink) -> None:
    """Everything that hidden tests do with a submission."""
    talk = Conversation()
    attempt = talk.attempt
    attempt(lambda: check_findings(line.analyse()))
    attempt(line.load)
    submission = RemoteSubmission(line, {}, SOURCE)
    for round_number in range(2):
        submission.start_test(round_number)
        attempt(lambda: submission.has("f"))
        attempt(lambda: submission.seed(1))
        x = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
        differentiate(attempt, attempt(lambda: submission.f(x, flag=True)), [x])  # noqa: B023
        thing = attempt(lambda: submission.Thing(4))
        if isinstance(thing, RemoteHandle):
            use(attempt, thing, x)
        with submission.measuring() as cost:
            attempt(lambda: submission.f(x))  # noqa: B023
        if len(cost.operations) > 10_000 or max(cost.as_json()[:4]) > 1 << 40:
            raise ViolationError("costs have no bound")
        with submission.limits(call_seconds=20.0):
            attempt(lambda: submission.given("loss", x))  # noqa: B023
        if any(len(name) > 200 for name in submission.changed_inputs):
            raise ViolationError("names of arguments have no bound")
    rehearse(talk.transcript)
    line.close()


def use(attempt: Callable[[Callable[[], Any]], Any], thing: RemoteHandle, x: Tensor) -> None:
    if not thing.kind_of_object().isidentifier():
        raise ViolationError("a class has a name that is none")
    state = attempt(thing.state_dict)
    if state:
        attempt(lambda: thing.load_state_dict(state))
    named = attempt(thing.named_parameters) or []
    attempt(lambda: thing.train(False))
    attempt(lambda: thing.to(torch.float64))
    attempt(lambda: thing.length)
    differentiate(attempt, attempt(lambda: thing(x)), [x, *(parameter for _, parameter in named if parameter.requires_grad)])


def differentiate(attempt: Callable[[Callable[[], Any]], Any], answer: Any, leaves: list[Tensor]) -> None:
    results = [tensor for tensor in tensors_in(answer) if tensor.requires_grad and tensor.numel()]
    if results:
        attempt(lambda: torch.autograd.grad([tensor.sum() for tensor in results], leaves, allow_unused=True))


def tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [tensor for item in items for tensor in tensors_in(item)][:50]


def check_findings(findings: dict[str, Any]) -> None:
    """What the grader takes from an analysis without another look."""
    for key in ("flags", "outside_torch", "native", "intrusive", "uncounted"):
        for line, words in findings[key]:
            if type(line) is not int or not isinstance(words, str):
                raise ViolationError("a remark is malformed")
    error = findings["syntax_error"]
    if error is not None:
        line, words = error
        if type(line) is not int or not isinstance(words, str):
            raise ViolationError("a syntax error is malformed")
    for name, (operation, line) in findings["tainted"].items():
        if not all(isinstance(text, str) for text in (name, operation)) or type(line) is not int:
            raise ViolationError("a use of what is forbidden is malformed")
