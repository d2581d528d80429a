"""A worker that answers what it likes: the grader loses it with one sentence, wins nothing for it, and stays whole itself."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from toy import FOLDER
from warm_grader import reading_of

from autograder.course.course import Limits
from autograder.grading.errors import SubmissionError, WorkerLostError
from autograder.grading.grade import Grader
from autograder.grading.remote import RemoteSubmission
from autograder.grading.task import Task
from autograder.grading.worker_link import Source, WorkerLink
from autograder.hidden_tests.rules import rules_of
from autograder.sandbox.zygote import WorkerUsage
from autograder.wire.frame import PREFIX

LIMITS = replace(Limits(), call_seconds=0.3, submission_seconds=20.0, reply_bytes=100_000)
RULES = rules_of("attention")
ONE = {"dtype": "float64", "shape": [1], "strides": [1], "offset": 0, "length": 8}

Reply = Callable[[dict[str, Any]], bytes]


class FakeZygote:
    """Hands out one end of a socket pair; at the other, `reply` answers each question with raw bytes."""

    def __init__(self, reply: Reply, ended: str | None = None) -> None:
        self.reply = reply
        self.ended = ended
        self.spawned = 0
        self._lines: list[socket.socket] = []

    def spawn(self, _limits: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.spawned += 1
        self._lines += [theirs]
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return ours

    def _serve(self, line: socket.socket) -> None:
        try:
            while prefix := line.recv(PREFIX.size, socket.MSG_WAITALL):
                header_length, payload_length = PREFIX.unpack(prefix)
                header = json.loads(line.recv(header_length, socket.MSG_WAITALL))
                if payload_length:
                    line.recv(payload_length, socket.MSG_WAITALL)
                line.sendall(self.reply(header))
        except OSError:
            pass

    def spent(self) -> float | None:
        return None

    def reap(self) -> WorkerUsage:
        self.close()
        return WorkerUsage(self.ended, 0.5, 1000)

    def close(self) -> None:
        for line in self._lines:
            line.close()
        self._lines.clear()


def frame(header: Any, payload: bytes = b"", header_length: int | None = None, payload_length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    lengths = (len(text) if header_length is None else header_length, len(payload) if payload_length is None else payload_length)
    return struct.pack("<IQ", *lengths) + text + payload


def value(node: Any, tensors: Any = (), payload: bytes = b"", graph: Any = None, differentiable: Any = (), **more: Any) -> Reply:
    """An answer to a call that is well formed but for what is given."""

    def reply(question: dict[str, Any]) -> bytes:
        answer = {"value": node, "graph": graph, "differentiable": list(differentiable)}
        return frame(
            {"id": question["id"], "value": answer, "tensors": tensors if not isinstance(tensors, tuple) else list(tensors), **more}, payload
        )

    return reply


def whole(**header: Any) -> Reply:
    return lambda question: frame({"id": question["id"], **header})


_zygotes: list[FakeZygote] = []


@pytest.fixture(autouse=True)
def _close_lines() -> Iterator[None]:
    yield
    for zygote in _zygotes:
        zygote.close()
    _zygotes.clear()


def submission_behind(reply: Reply, limits: Limits = LIMITS, ended: str | None = None) -> RemoteSubmission:
    zygote = FakeZygote(reply, ended)
    _zygotes.append(zygote)
    link = WorkerLink(zygote, Source("scaling.py", "class Known: pass\n"), RULES, limits)  # type: ignore[arg-type]
    submission = RemoteSubmission(link, {})
    submission.start_test(0)
    return submission


UNREADABLE: dict[str, Reply] = {
    "another id": lambda question: frame({"id": question["id"] + 1, "value": None, "tensors": []}),
    "no id": lambda question: frame({"value": None}),
    "an id that is a text": lambda question: frame({"id": str(question["id"])}),
    "an id that is a float": lambda question: frame({"id": float(question["id"])}),
    "True for the first id": lambda question: frame({"id": True, "value": {"value": 1, "graph": None, "differentiable": []}, "tensors": []}),
    "a list": lambda question: frame([question["id"]]),
    "no JSON": lambda question: frame(b"\x80\x04\x95pickle"),
    "not UTF-8": lambda question: frame(b'{"id": "\xff"}'),
    "nested JSON": lambda question: frame(b"[" * 100_000),
    "a header that is too long": lambda question: frame(b"{}", header_length=2**31),
    "a payload that is too long": lambda question: frame({"id": question["id"]}, payload_length=2**60),
    "no value": whole(),
    "a value of another kind": whole(value=[1], tensors=[]),
    "no list of gradients": whole(value={"value": 1, "graph": 1, "differentiable": 3}, tensors=[]),
    "tensors that are no list": value(1, tensors={"a": 1}),
    "too many tensors": value(1, tensors=[ONE] * 5000),
    "a tensor outside its message": value({"t": 0}, [{**ONE, "offset": 8}], bytes(8)),
    "a negative offset": value({"t": 0}, [{**ONE, "offset": -8}], bytes(8)),
    "a tensor of another length": value({"t": 0}, [{**ONE, "shape": [2]}], bytes(8)),
    "strides of zero": value({"t": 0}, [{**ONE, "shape": [10**6], "strides": [0]}], bytes(8)),
    "negative sizes": value({"t": 0}, [{**ONE, "shape": [-1]}], bytes(8)),
    "sizes that overflow": value({"t": 0}, [{**ONE, "shape": [2**39, 2**39, 2**39], "strides": [0, 0, 0]}], bytes(8)),
    "an empty tensor of absurd size": value({"t": 0}, [{**ONE, "shape": [0, 2**39, 2**39], "strides": [1, 1, 1], "length": 0}]),
    "overlapping tensors": value([{"t": 0}], [ONE, ONE], bytes(8)),
    "a dtype that is none": value({"t": 0}, [{**ONE, "dtype": "object"}], bytes(8)),
    "a bool that is seven": value({"t": 0}, [{"dtype": "bool", "shape": [1], "strides": [1], "offset": 0, "length": 1}], b"\7"),
    "a tensor that was not sent": value({"t": 3}),
    "a tensor with a negative number": value({"t": -1}, [ONE], bytes(8)),
    "a node of no kind": value({"z": 1}),
    "an empty node": value({}),
    "a bare list": value([1, 2]),
    "a tensor as a key": value({"d": [[{"t": 0}, 1]]}, [ONE], bytes(8)),
    "a list as a key": value({"d": [[{"u": []}, 1]]}),
    "a mapping of no pairs": value({"d": [[1]]}),
    "deeply nested": value(json.loads('{"u":[' * 40 + "1" + "]}" * 40)),
    "too many nodes": value({"u": [None] * 60_000}),
    "endless objects": value({"u": [{"h": number, "class": "X"} for number in range(12_000)]}),
    "an object without a number": value({"h": "1"}),
    "gradients of a tensor that is none": value({"t": 0}, [ONE], bytes(8), graph=1, differentiable=[7]),
    "gradients of one tensor twice": value({"t": 0}, [ONE], bytes(8), graph=1, differentiable=[0, 0]),
    "gradients of an integer": value({"t": 0}, [{**ONE, "dtype": "int64"}], bytes(8), graph=1, differentiable=[0]),
    "a graph that is a text": value({"t": 0}, [ONE], bytes(8), graph="g", differentiable=[0]),
    "parameters that are no list": value({"h": 1, "parameters": "w"}),
    "a parameter without a dtype": value({"h": 1, "parameters": [["w", [1], "complex64", True]]}),
    "a parameter of negative size": value({"h": 1, "parameters": [["w", [-1], "float32", True]]}),
    "more parameters than memory": value({"h": 1, "parameters": [["w", [2**30], "float64", True]]}),
    "too many parameters": value({"h": 1, "parameters": [["w", [1], "float32", True]] * 5000}),
    "an error that is a text": whole(error="ValueError"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_answer_that_breaks_the_rules_ends_the_worker(name: str) -> None:
    submission = submission_behind(UNREADABLE[name])
    with pytest.raises(WorkerLostError, match=r"^The answer could not be read: .*[.]$"):
        submission.halve(torch.ones(1))
    assert submission.lost is not None
    with pytest.raises(WorkerLostError):  # nor does it answer anything else in this test
        submission.halve(torch.ones(1))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (lambda question: b"", "No answer within 0.3 seconds"),
        (lambda question: frame({"id": question["id"]})[:7], "No answer within 0.3 seconds"),
        (lambda question: frame({"id": question["id"]}, payload_length=90_000), "No answer within 0.3 seconds"),
        (lambda question: frame(b" " * 10, header_length=2**22), "No answer within 0.3 seconds"),
    ],
    ids=["nothing", "half a length", "no payload", "half a header"],
)
def test_an_answer_that_never_comes_is_not_waited_for(reply: Reply, words: str) -> None:
    with pytest.raises(WorkerLostError, match=words):
        submission_behind(reply).halve(1)


def test_replies_that_nobody_asked_for_answer_nothing() -> None:
    right = value(True)
    submission = submission_behind(lambda question: right(question) + right({"id": question["id"] + 1}) + right({"id": question["id"]}))
    with contextlib.suppress(WorkerLostError):
        _ = [submission.halve(1) for _ in range(3)]  # what was sent before a question knows nothing of it
    assert submission.lost is not None
    assert re.search("longer than it says|belongs to no question", str(submission.lost))


@pytest.mark.parametrize("gradient", [{"t": 0}, 3, {"l": []}, {"l": [{"t": 0}, {"t": 0}]}, {"l": [3]}, {"l": [{"h": 1}]}, {"u": [{"t": 0}]}, None])
def test_gradients_of_other_shapes_and_kinds_are_refused(gradient: Any) -> None:
    three = {**ONE, "shape": [3], "length": 24}

    def reply(question: dict[str, Any]) -> bytes:
        if question["op"] == "backward":
            return frame({"id": question["id"], "value": gradient, "tensors": [{**three, "shape": [3, 1], "strides": [1, 1]}]}, bytes(24))
        return value({"t": 0}, [three], bytes(24), graph=1, differentiable=[0])(question)

    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    result = submission_behind(reply).halve(x)
    with pytest.raises(WorkerLostError, match="could not be read"):
        torch.autograd.grad(result.sum(), x)


def test_gradients_of_another_dtype_are_refused() -> None:
    def reply(question: dict[str, Any]) -> bytes:
        if question["op"] == "backward":
            return frame({"id": question["id"], "value": {"l": [{"t": 0}]}, "tensors": [{**ONE, "dtype": "int64"}]}, bytes(8))
        return value({"t": 0}, [ONE], bytes(8), graph=1, differentiable=[0])(question)

    x = torch.ones(1, dtype=torch.float64, requires_grad=True)
    result = submission_behind(reply).halve(x)
    with pytest.raises(WorkerLostError, match="do not fit the question"):
        torch.autograd.grad(result.sum(), x)


def test_claims_of_a_tensor_that_requires_a_gradient_join_no_graph() -> None:
    x = torch.ones(1, dtype=torch.float64, requires_grad=True)
    result = submission_behind(value({"t": 0}, [{**ONE, "grad": True}], bytes(8))).halve(x)
    assert torch.autograd.grad(result.sum(), x, allow_unused=True) == (None,)


def test_names_of_a_workers_choosing_are_not_repeated() -> None:
    lies = {
        "changed": ["smuggled", "argument 31415", "argument 1", "factor", 7, "x" * 500],
        "forbidden": ["smuggled.e", "smuggled.MultiheadAttention", "nn.MultiheadAttention"],
    }
    submission = submission_behind(value(1, **lies))
    submission.halve(1, factor=2)
    assert submission.changed_inputs == ["halve(argument 1)", "halve(factor)"]
    assert submission._link.forbidden == ["nn.MultiheadAttention"]


@pytest.mark.parametrize(
    ("claimed", "shown"), [("Known", "Known"), ("smuggled", "object"), ("ndarray", "ndarray"), (7, "object"), ("a b", "object"), (None, "object")]
)
def test_an_object_is_called_by_a_name_of_the_source_or_a_usual_one(claimed: Any, shown: str) -> None:
    assert submission_behind(value({"h": 1, "class": claimed})).halve(1).kind_of_object() == shown


@pytest.mark.parametrize(
    ("claimed", "line"), [(1, 1), (2, 2), (3, None), (10**9, None), (0, None), (-1, None), (True, None), ("1", None), (1.0, None)]
)
def test_a_line_is_one_of_the_file(claimed: Any, line: int | None) -> None:
    with pytest.raises(ValueError) as caught:
        submission_behind(whole(error={"types": ["ValueError"], "text": "", "line": claimed})).halve(1)
    assert isinstance(caught.value, SubmissionError)
    assert caught.value.line == line


@pytest.mark.parametrize(
    "error", [{}, {"types": 3}, {"types": ["ValueError"] * 1000, "text": ["x"]}, {"types": [None, {}]}, {"types": ["x" * 10**4], "line": {}}]
)
def test_an_account_of_an_error_may_hold_anything(error: dict[str, Any]) -> None:
    with pytest.raises(SubmissionError):
        submission_behind(whole(error=error)).halve(1)


@pytest.mark.parametrize(
    "cost", [None, 3, [1, 2], [1, 1, 1, {}], [-1, 0, 0, 0, {}], ["1", 0, 0, 0, {}], [1, 1, 1, 1, []], [True, 0, 0, 0, {}], [1.5, 0, 0, 0, {}]]
)
def test_measurements_that_are_none_do_not_count(cost: Any) -> None:
    submission = submission_behind(value(1, cost=cost))
    with submission.measuring() as measured:
        submission.halve(1)
    assert (measured.largest_tensor, measured.flops, dict(measured.operations)) == (0, 0, {})


def test_large_leaves_that_a_worker_claims_cost_no_memory() -> None:
    claimed = {"h": 1, "class": "Known", "parameters": [["w", [2**27], "float64", True]]}  # a gigabyte
    submission = submission_behind(
        lambda question: value(claimed)(question) if question["path"] else value({"t": 0}, [ONE], bytes(8), graph=1, differentiable=[0])(question)
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    submission.Known()(1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # kilobytes


def test_a_worker_that_keeps_dying_is_not_replaced_for_ever() -> None:
    submission = submission_behind(lambda question: frame([0]))
    for _ in range(40):
        submission.start_test(0)
        with pytest.raises(WorkerLostError) as caught:
            submission.halve(1)
    assert "again and again" in str(caught.value)
    assert _zygotes[0].spawned <= 12


def test_the_time_of_a_submission_ends_for_all_its_tests() -> None:
    submission = submission_behind(lambda question: b"", replace(LIMITS, submission_seconds=0.4))
    for words in ("No answer within 0.3 seconds", "No answer within", "used up its 0.4 seconds"):
        submission.start_test(0)
        with pytest.raises(WorkerLostError, match=words):
            submission.halve(1)


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ("was killed by signal 11 (segmentation fault)", "crashed the interpreter"),
        ("exited with status 0", "ended its process: it exited with status 0"),
        ("used up its processor (CPU) time", "used up its processor time"),
        (None, "stopped answering"),
    ],
)
def test_the_end_of_a_worker_is_told_in_words(ended: str | None, words: str) -> None:
    submission = submission_behind(lambda question: b"", ended=ended)
    zygote = _zygotes[0]
    zygote.reply = lambda question: zygote.close() or b""  # type: ignore[func-returns-value]
    with pytest.raises(WorkerLostError, match=words):
        submission.halve(1)


SWALLOWS = """
import contextlib
import torch
from autograder.checking.assertions import assert_raises_value_error


def test_catches_everything(submission):
    try:
        submission.halve(1)
    except BaseException:
        pass


def test_suppresses(submission):
    with contextlib.suppress(Exception, BaseException):
        submission.halve(1)


def test_expects_an_error(submission):
    assert_raises_value_error(lambda: submission.halve(1), when="x is 1")


def test_returns_in_finally(submission):
    try:
        submission.halve(1)
    finally:
        return
"""


def test_a_test_that_swallows_exceptions_hides_no_lost_worker(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_scaling.py").write_text(SWALLOWS)
    (tmp_path / "scaling.py").write_text((FOLDER / "references" / "scaling.py").read_text())
    with Grader(tmp_path, tmp_path) as grader:
        submission = submission_behind(lambda question: b"", replace(LIMITS, call_seconds=0.1))
        monkeypatch.setattr(grader, "_diagnostician", lambda _name: pytest.fail("there is nothing to diagnose"))
        task = Task("ann", "01_scaling", reading_of("x = 1"), "f", "5eed", 1, LIMITS, "require")
        results = grader.run_suite(task, submission, [])
    assert [result.outcome.value for result in results] == ["failed"] * 4
    assert all("No answer" in result.message for result in results)
