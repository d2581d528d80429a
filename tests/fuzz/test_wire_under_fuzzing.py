"""A short form of `python -m tests.fuzz`, and what it has found."""

from __future__ import annotations

import socket
import threading
import time
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograder.grading import worker_link
from autograder.grading.answers import Transcript
from autograder.grading.errors import WorkerLostError
from autograder.grading.findings import checked_findings
from autograder.grading.remote import RemoteHandle, RemoteSubmission
from autograder.grading.worker_link import Source, WorkerLink
from autograder.hidden_tests.rules import rules_of
from autograder.wire.codec import Decoder, WireError, decode_tensors
from autograder.wire.frame import MAX_HEADER_BYTES, PREFIX, ClosedError, read_frame, send_frame
from tests.fuzz import seeds, targets
from tests.fuzz.clockwork import Clock, FakeZygote, ViolationError, simulated
from tests.fuzz.hunt import Hunt, with_form, without_form
from tests.fuzz.scripts import STAMP, Ending, Step, from_bytes, join, split, to_bytes

torch.set_num_threads(1)
EXAMPLES = {"frame": 100, "link": 40, "suite": 30, "notebook": 30}
randoms = st.randoms(use_true_random=False)


@pytest.mark.parametrize("target", EXAMPLES)
def test_no_input_brings_about_what_none_may(target: str) -> None:
    first = seeds.seeds_of(target)

    @settings(max_examples=EXAMPLES[target], deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.sampled_from(first), random=randoms, rounds=st.integers(1, 3), formless=st.booleans())
    def holds(data: bytes, random: Random, rounds: int, formless: bool) -> None:
        for _ in range(rounds):
            data = without_form(data, random) if formless else with_form(target, data, random)
        targets.TARGETS[target](data)

    holds()


@given(steps=st.lists(st.builds(Step, st.binary(max_size=40), st.booleans(), st.integers(0, 255), st.integers(0, 255), st.sampled_from(Ending))))
@settings(max_examples=50)
def test_a_script_comes_back_from_its_bytes(steps: list[Step]) -> None:
    assert from_bytes(to_bytes(steps)) == steps[:64]


def test_the_first_inputs_are_whole_conversations() -> None:
    """What is changed must have been right, or fuzzing would stay at the door."""
    assert len(seeds.conversation()) > 30
    for test_id, several in seeds.sittings(variants=0).items():
        raised, _ = targets.sit(test_id, several[0])
        assert raised is None, test_id


# A worker in simulated time, one way to be slow or wrong each.


def line_to(clock: Clock, *steps: Step) -> WorkerLink:
    zygote: Any = FakeZygote(clock, list(steps))
    return WorkerLink(zygote, Source("f.py", targets.SOURCE), rules_of("attention"), targets.LIMITS)


def reply(value: Any, payload: bytes = b"", **more: Any) -> bytes:
    return join({"id": STAMP.strip('"'), "value": value, "tensors": [], **more}, payload)


def called(value: Any) -> dict[str, Any]:
    return {"value": value, "graph": None, "differentiable": []}


@pytest.mark.parametrize(
    ("share", "delay", "after_seconds"),
    [
        (None, 12, None),  # the system does not tell
        (1.0, 12, None),  # has had all of the processor
        (0.0, 12, None),  # sleeps
        (0.5, 12, 12),
        (0.3, 25, 25),
        (0.3, 35, None),  # has had its ten seconds
        (0.1, 39, 39),
        (0.1, 41, None),  # not for ever
    ],
)
def test_a_call_that_gets_little_of_the_processor_has_more_time(share: float | None, delay: float, after_seconds: float | None) -> None:
    with simulated() as clock:
        began = clock.now
        line = line_to(clock, Step(reply(True), delay=8 * delay))  # in eighths of a second
        line.zygote.share = share  # type: ignore[attr-defined]
        if after_seconds is None:
            with pytest.raises(WorkerLostError, match="No answer within 10 seconds"):
                RemoteSubmission(line, {}).has("f")
            assert clock.now - began <= 40 + 1e-2
        else:
            assert RemoteSubmission(line, {}).has("f")
            assert abs(clock.now - began - after_seconds) < 1e-2
        line.close()


@pytest.mark.parametrize(
    ("step", "says", "after_seconds"),
    [
        (Step(b"", ending=Ending.LISTENS), "No answer within 10 seconds", 10),
        (Step(reply(True), piece=1, delay=8), "No answer within 10 seconds", 10),
        (Step(reply(True)[:20]), "No answer within 10 seconds", 10),
        (Step(reply(True), delay=81), "No answer within 10 seconds", 10),
        (Step(b"", ending=Ending.DEAF), "No answer within 10 seconds", 10),
        (Step(reply(True)[:20], delay=8, ending=Ending.CLOSES), "stopped answering", 2),
        (Step(reply(True)[:20], ending=Ending.HALF_CLOSES), "stopped answering", 0),
        (Step(reply(True) * 2), "longer than it says", 0),
        (Step(PREFIX.pack(2, 2**63) + b"{}"), "larger than", 0),
        (Step(reply(True), stamp=False), "belongs to no question", 0),
    ],
    ids=["silent", "drips", "half a frame", "late", "deaf", "closes", "half closes", "two answers", "a lie", "another's number"],
)
def test_a_worker_that_does_not_answer_is_lost_at_its_deadline(step: Step, says: str, after_seconds: float) -> None:
    with simulated() as clock:
        began = clock.now
        line = line_to(clock, step)
        with pytest.raises(WorkerLostError, match=says):
            RemoteSubmission(line, {}).has("f")
        assert clock.now - began == pytest.approx(after_seconds, abs=0.01)
        line.close()


@pytest.mark.parametrize("step", [Step(reply(True), piece=3, delay=1), Step(reply(True), ending=Ending.PASSES_FILES)], ids=["slow", "with files"])
def test_a_right_answer_counts_however_it_comes(step: Step) -> None:
    with simulated() as clock:
        line = line_to(clock, step)
        assert RemoteSubmission(line, {}).has("f")
        line.close()


def test_waiting_without_an_end_and_past_a_deadline_are_seen() -> None:
    """The simulation can fail: it must not take a broken grader for a right one."""
    clock = Clock()
    with pytest.raises(ViolationError, match="without an end"):
        clock.poll().poll(None)
    ours, theirs = socket.socketpair()
    with ours, theirs, simulated() as clock:
        with pytest.raises(ViolationError, match="past its deadline"):
            worker_link.read_frame(ours, clock.now - 0.5, 10)


# What an answer may cost. The bound is docs/security.md's.

HEADER_BYTES = MAX_HEADER_BYTES // 8  # what an answer costs grows with its header
ANSWER_BYTES = 2.5 * targets.LIMITS.reply_bytes + 40 * HEADER_BYTES


@pytest.mark.parametrize("item", [b"{},", b"[0],", b'{"a":{}},', b"0.5,", b'"\xc3\xa9",'], ids=["objects", "lists", "nested", "numbers", "texts"])
def test_the_dearest_headers_stay_within_the_bound(item: bytes) -> None:
    begin, end = b'{"id":1,"value":{"l":[', b'{}]},"tensors":[]}'
    header = begin + item * ((HEADER_BYTES - len(begin) - len(end)) // len(item)) + end
    frame = PREFIX.pack(len(header), targets.LIMITS.reply_bytes) + header + bytes(targets.LIMITS.reply_bytes)
    ours, theirs = socket.socketpair()
    sender = threading.Thread(target=send_frame, args=(theirs, frame, time.monotonic() + 120))
    with ours, theirs:
        sender.start()
        tracemalloc.start()
        try:
            read, payload = read_frame(ours, time.monotonic() + 120, targets.LIMITS.reply_bytes)
            with pytest.raises(WireError):
                Decoder(decode_tensors(read["tensors"], payload, dense=True), lambda _node: None).decode(read["value"])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            sender.join()
    assert HEADER_BYTES < peak < ANSWER_BYTES


# Findings.

REMARKS = ("flags", "outside_torch", "native", "intrusive", "uncounted")
ANALYSIS: dict[str, Any] = {"syntax_error": None, "defined": [], "tainted": {}, **{kind: [] for kind in REMARKS}}


@pytest.mark.parametrize(
    "changed",
    [
        None,
        {},
        [],
        "text",
        {"flags": ["no remark"]},
        {"flags": [[1, 2]]},
        {"flags": [[-1, "words"]]},
        {"outside_torch": None},
        {"syntax_error": [1]},
        {"syntax_error": [True, "words"]},
        {"tainted": []},
        {"tainted": {"f": ["operation"]}},
        {"tainted": {"f": [1, "operation"]}},
        {"tainted": {"f": None}},
        {"tainted": {"f" * 2_000: ["operation", 1]}},
    ],
)
def test_a_malformed_analysis_loses_the_worker(changed: Any) -> None:
    findings = {**ANALYSIS, **changed} if isinstance(changed, dict) and changed else changed
    with simulated() as clock:
        line = line_to(clock, Step(reply(findings)), Step(reply(findings)))
        with pytest.raises(WorkerLostError, match="could not be read"):
            line.analyse()


def test_an_analysis_without_a_value_loses_the_worker() -> None:
    with simulated() as clock, pytest.raises(WorkerLostError, match="could not be read"):
        line_to(clock, Step(join({"id": "?"}, b""))).analyse()


def test_a_right_analysis_is_taken() -> None:
    found = checked_findings({**ANALYSIS, "flags": [[3, "words"]], "tainted": {"f": ["F.softmax", 2]}})
    assert found["flags"] == [(3, "words")]
    assert found["tainted"] == {"f": ("F.softmax", 2)}


@pytest.mark.parametrize("shape", [[0, 2**31 - 1, 2**31 - 1, 2**31 - 1], [1] * 17, [2**31 - 1] * 100_000], ids=["empty", "dimensions", "digits"])
def test_parameters_of_absurd_shapes_lose_the_worker_at_once(shape: list[int]) -> None:
    thing = {"h": 1, "class": "Thing", "parameters": [["weight", shape, "float32", True]]}
    with simulated() as clock, pytest.raises(WorkerLostError, match="could not be read"):
        RemoteSubmission(line_to(clock, Step(reply(called(thing)))), {}, targets.SOURCE).Thing()


def test_a_module_of_empty_parameters_is_one_all_the_same() -> None:
    thing = {"h": 1, "class": "Thing", "parameters": [["weight", [0, 4], "float32", True]]}
    with simulated() as clock:
        line = line_to(clock, Step(reply(called(thing))))
        assert isinstance(RemoteSubmission(line, {}, targets.SOURCE).Thing(), RemoteHandle)
        line.close()


def test_names_of_operations_do_not_pile_up() -> None:
    steps = [Step(reply(called(1), cost=[1, 1, 1, 1, {f"operation {call} {n}": 1 for n in range(3_000)} | {"aten.mm": 2}])) for call in range(3)]
    steps += [Step(reply(called(1), cost=[1, 1, 1, 1, {"x" * 101: 1}]))]
    with simulated() as clock:
        line = line_to(clock, Step(reply(called(1), cost=[1, 1, 1, 1, {"aten.mm": 2}])), *steps)
        submission = RemoteSubmission(line, {}, targets.SOURCE)
        with submission.measuring() as cost:
            for _ in range(5):
                submission.f()
        line.close()
    assert len(cost.operations) == 1_000
    assert cost.operations["aten.mm"] == 8
    assert cost.flops == 5


def test_long_numbers_count_towards_what_is_kept_of_answers() -> None:
    transcript = Transcript()
    for _ in range(2_000):
        transcript.note([10**4000])
    assert len(transcript.answers) * 4000 // 3 < 2**23


def test_a_search_finds_a_fault_and_keeps_it_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With one check gone, changes of form alone bring the fault out."""
    monkeypatch.setattr("autograder.grading.worker_link.checked_findings", lambda raw: raw)
    hunt, random = Hunt("link", tmp_path), Random(1)
    (first,) = seeds.seeds_of("link")
    steps = from_bytes(first)[:1]  # the analysis, and then nobody answers
    for _ in range(80):
        hunt.run(with_form("link", to_bytes(steps), random))
    found = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert found
    assert len(found) == len(hunt.known)
    with pytest.raises(BaseException):  # noqa: B017
        targets.link(found[0].read_bytes())


def test_a_frame_without_its_end_is_closed_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall(PREFIX.pack(10, 0))
        theirs.close()
        with pytest.raises(ClosedError):
            read_frame(ours, time.monotonic() + 60, 10)
    assert split(PREFIX.pack(10, 0)) is None
