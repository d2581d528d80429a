"""One submission's line to its worker: questions and answers with deadlines, and a fresh worker when one is lost."""

from __future__ import annotations

import contextlib
import gc
import socket
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from autograder.checking.measurement import Cost
from autograder.course.course import Limits
from autograder.grading.errors import WorkerLostError, submission_error
from autograder.grading.findings import checked_findings
from autograder.hidden_tests.rules import Rules
from autograder.sandbox.zygote import WorkerUsage, Zygote, ZygoteDiedError
from autograder.wire.codec import Decoder, Encoder, WireError, decode_tensors
from autograder.wire.frame import ClosedError, DeadlinePassedError, pack, read_frame, send_frame, wait_for_answer
from autograder.worker.limits import WorkerLimits

METHOD = object()  # what "get" answers for something that is to be called
_MAX_WORKERS = 12  # fresh ones for a submission whose worker keeps dying
_MOST_PATIENCE = 4  # times a call's seconds, for one that gets little of the processor
_SLICE = 0.1  # of a call's seconds
_MAX_COST = 10**9  # of what one call is said to have cost: a larger number is a lie, and could spell something
_MAX_OPERATIONS, _MAX_OPERATION_NAME = 1_000, 100
_COLLECT_AFTER_BYTES = 2**28
_TOO_LARGE = "What came back is too large to be looked at: check its shape."


@dataclass(frozen=True)
class Source:
    """A submission's text and the name that its file has for the student."""

    filename: str
    text: str


@dataclass
class Answer:
    """A reply, checked. `tensors` are those of the reply in its own order, `sent` those of the question."""

    value: Any
    tensors: list[Tensor]
    sent: list[Tensor]
    graph: int | None
    changed: list[str]


class WorkerLink:
    """Asks; never believes. All times are in seconds of wall clock."""

    def __init__(self, zygote: Zygote, source: Source, rules: Rules, limits: Limits) -> None:
        self.zygote = zygote
        self.source = source
        self.rules = rules
        self.limits = limits
        self.cpu_seconds = 0.0
        self.peak_memory_bytes = 0
        self.forbidden: list[str] = []
        self.cost: Cost | None = None
        self.measured = False  # whether any test asked what a call costs
        self.workers = 0
        self.died: ZygoteDiedError | None = None  # whatever a test made of it
        self.killed = False  # whether a worker may have been ended from outside: by the system, short of memory, or by somebody
        self._received_bytes = 0
        self._waited = 0.0  # seconds, for the answers of the worker that is there
        self._submission_limits = limits
        self._ends_at = time.monotonic() + limits.submission_seconds
        self._stream: socket.socket | None = None
        self._loaded = False
        self._lost: str | None = None
        self._seed = 0
        self._begin = True
        self._next_id = 0

    @property
    def lost(self) -> str | None:
        """Why the worker of this test answers no more, in words for the student."""
        return self._lost

    def start_test(self, seed: int) -> None:
        """What the last test made in the worker is forgotten with the next question; a lost worker is replaced then."""
        self._seed = seed
        self._begin = True
        self._lost = None

    def use_limits(self, call_seconds: float | None = None, memory_bytes: int | None = None) -> None:
        """Other limits from now on; None is the course's own. A fresh worker is made, so what the test made before is gone."""
        course = self._submission_limits
        self.close()
        self.limits = replace(course, call_seconds=call_seconds or course.call_seconds, memory_bytes=memory_bytes or course.memory_bytes)

    def analyse(self) -> dict[str, Any]:
        """Findings about the source (see worker.analysis), from a worker that has not run it yet."""
        reply, _ = self._exchange(
            {"op": "analyse", "source": self.source.text, "filename": self.source.filename, "forbidden": list(self.rules.in_source)}, b""
        )
        if "error" in reply:
            raise WorkerLostError(f"{self.source.filename} cannot be parsed: it is nested too deeply or too large.")
        with self._checked():
            return checked_findings(reply.get("value"))

    def load(self) -> None:
        """Run the module. Raises SubmissionError or WorkerLostError."""
        self._loaded = True
        header = {
            "op": "load",
            "source": self.source.text,
            "filename": self.source.filename,
            "forbidden_names": list(self.rules.calls),
            "forbidden_operators": list(self.rules.operators),
        }
        reply, _ = self._exchange(header, b"")
        self._note_forbidden(reply.get("forbidden"))
        self._raise_error_of(reply)

    def ask(
        self,
        build: Callable[[Encoder], dict[str, Any]],
        encode_object: Callable[[Any], dict[str, Any]],
        decode_object: Callable[[dict[str, Any]], Any],
    ) -> Answer:
        """Send the question that `build` makes, its values through the encoder, and return the checked answer."""
        encoder = Encoder(encode_object)
        header = build(encoder)
        question = header | {"tensors": encoder.specs}
        if self._begin:
            question["begin"] = self._seed
            self._begin = False
        if self.cost is not None:
            question["measure"] = self.measured = True
        reply, payload = self._exchange(question, encoder.payload())
        self._note_cost(reply.get("cost"))
        self._note_forbidden(reply.get("forbidden"))
        changed = [name for name in _strings(reply.get("changed")) if name in _argument_names(header)]
        error = reply.get("error")
        if error is not None:
            self._raise_error_of(reply)
        with self._checked():
            tensors = decode_tensors(reply.get("tensors", []), payload, dense=True)
            value: Any = reply.get("value")
            decoder = Decoder(tensors, decode_object)
            if header["op"] == "get":
                decoded = METHOD if value == {"callable": True} else decoder.decode(value["value"])
                return Answer(decoded, tensors, encoder.tensors, None, changed)
            if header["op"] != "call":
                return Answer(decoder.decode(value), tensors, encoder.tensors, None, changed)
            if not isinstance(value, dict) or not isinstance(value.get("differentiable"), list):
                raise WireError("an answer is malformed")
            graph = value.get("graph")
            if graph is not None and (type(graph) is not int or not _indices(value["differentiable"], tensors)):
                raise WireError("an answer is malformed")
            if graph is not None:
                for index in value["differentiable"]:
                    tensors[index].requires_grad_()
            return Answer(decoder.decode(value.get("value")), tensors, encoder.tensors, graph, changed)

    @contextlib.contextmanager
    def _checked(self) -> Generator[None]:
        try:
            yield
        except MemoryError:
            raise self._lose(_TOO_LARGE) from None
        except (WireError, KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
            text = str(error) if isinstance(error, WireError) else "an answer is malformed"
            raise self._lose(f"The answer could not be read: {text}.") from None

    def _exchange(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytearray]:
        if self._lost is not None:
            raise WorkerLostError(self._lost)
        now = time.monotonic()
        if now >= self._ends_at:
            raise self._lose(f"The submission used up its {self.limits.submission_seconds:g} seconds; nothing after this point was run.")
        self._connect(header["op"])
        assert self._stream is not None
        self._next_id += 1
        header["id"] = self._next_id
        deadline = min(now + self.limits.call_seconds, self._ends_at)
        try:
            send_frame(self._stream, pack(header, payload), deadline)
            deadline = self._wait_fairly(now, deadline)
            reply, data = read_frame(self._stream, deadline, self.limits.reply_bytes)
        except DeadlinePassedError:
            seconds = self.limits.call_seconds if deadline < self._ends_at else self.limits.submission_seconds
            raise self._lose(f"No answer within {seconds:g} seconds: does a loop never end?") from None
        except ClosedError:
            raise self._lose(None) from None
        except WireError as error:
            raise self._lose(f"The answer could not be read: {error}.") from None
        except MemoryError:
            raise self._lose(_TOO_LARGE) from None
        self._waited += time.monotonic() - now
        self._received_bytes += len(data)
        if self._received_bytes > _COLLECT_AFTER_BYTES:
            # Failed tests leave cycles of errors and frames that hold answers; Python counts objects, not their bytes.
            gc.collect()
            self._received_bytes = 0
        if reply.get("id") != self._next_id or type(reply.get("id")) is not int:
            raise self._lose("The answer could not be read: it belongs to no question.")
        return reply, data

    def _wait_fairly(self, asked: float, deadline: float) -> float:
        """Wait for an answer's first byte. Returns the deadline, later than the one given where other programs had the processor.

        A call has `call_seconds` of wall time; who got less of the processor than that gets the rest, up to four times as much time in all, as
        long as it computes.
        """
        assert self._stream is not None
        call_seconds, slice_seconds, spent_before = self.limits.call_seconds, _SLICE * self.limits.call_seconds, -1.0
        last = min(asked + _MOST_PATIENCE * call_seconds, self._ends_at)
        while True:
            try:
                wait_for_answer(self._stream, deadline)
                # Who was given more time is given some to send what it has, too.
                return deadline if spent_before < 0 else max(deadline, min(time.monotonic() + slice_seconds, last))
            except DeadlinePassedError:
                with self._noting_a_dead_zygote():
                    spent = self.zygote.spent()
                # All that it waited for earlier questions counts as spent on them, which is in the student's favour.
                has_had_enough = spent is None or call_seconds - (spent - self._waited) <= slice_seconds
                asleep = spent is not None and spent - spent_before < 0.02 * slice_seconds
                if has_had_enough or asleep or deadline >= last or spent is None:
                    raise
                spent_before, deadline = spent, min(deadline + slice_seconds, last)

    def _connect(self, operation: str) -> None:
        if self._stream is not None:
            return
        if self.workers >= _MAX_WORKERS:
            raise self._lose("The submission ended its process again and again; nothing after this point was run.")
        self.workers += 1
        self._waited = 0.0
        with self._noting_a_dead_zygote():
            self._stream = self.zygote.spawn(WorkerLimits(memory_bytes=self.limits.memory_bytes, cpu_seconds=int(self.limits.cpu_seconds)))
        if self._loaded and operation != "load":
            self.load()

    def _lose(self, reason: str | None) -> WorkerLostError:
        """Kill the worker; `reason` None means that it ended by itself."""
        usage = self._reap() if self._stream is not None else None
        if reason is None:
            reason = _end_in_words(usage)
            self.killed |= usage is not None and (usage.killed or usage.exit is None)
        self._lost = reason
        return WorkerLostError(reason)

    def _reap(self) -> WorkerUsage:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        with self._noting_a_dead_zygote():
            usage = self.zygote.reap()
        self.cpu_seconds += usage.cpu_seconds
        self.peak_memory_bytes = max(self.peak_memory_bytes, usage.peak_bytes)
        return usage

    @contextlib.contextmanager
    def _noting_a_dead_zygote(self) -> Generator[None]:
        try:
            yield
        except ZygoteDiedError as error:
            self.died = error
            raise

    def close(self) -> None:
        """End the worker."""
        if self._stream is not None:
            self._reap()

    def _raise_error_of(self, reply: dict[str, Any]) -> None:
        error = reply.get("error")
        if error is None:
            return
        if not isinstance(error, dict):
            raise self._lose("The answer could not be read: an answer is malformed.")
        line = error.get("line")
        text = error.get("text")
        names = [name for name in _strings(error.get("types")) if name.isidentifier()]
        # A line that the file does not have would be a number of the submission's choosing.
        known = line if type(line) is int and 0 < line <= self.source.text.count("\n") + 1 else None
        raise submission_error(names, text if isinstance(text, str) else "", known)

    def _note_cost(self, raw: Any) -> None:
        if self.cost is None or not isinstance(raw, list) or len(raw) != 5:
            return
        numbers, operations = raw[:4], raw[4]
        if all(type(number) is int and number >= 0 for number in numbers) and isinstance(operations, dict):
            cost = Cost(*(min(number, _MAX_COST) for number in numbers))
            room = _MAX_OPERATIONS - len(self.cost.operations)
            for name, count in operations.items():
                if type(count) is int and count >= 0 and len(name) <= _MAX_OPERATION_NAME:
                    room -= name not in self.cost.operations
                    if room >= 0 or name in self.cost.operations:
                        cost.operations[name] = min(count, _MAX_COST)
            self.cost.add(cost)

    def _note_forbidden(self, raw: Any) -> None:
        known = {*map(short_name, self.rules.calls), *(operator.replace("aten::", "torch.") for operator in self.rules.operators)}
        for name in _strings(raw):
            if name not in self.forbidden and name in known:
                self.forbidden.append(name)


def short_name(dotted: str) -> str:
    """ "F.softmax" for "torch.nn.functional.softmax"."""
    return dotted.replace("torch.nn.functional.", "F.").replace("torch.nn.", "nn.")


def _argument_names(header: dict[str, Any]) -> set[str]:
    """What a worker may call the arguments of this question: a name of its own choosing could carry anything to the student."""
    positions = header["args"]["u"] if "args" in header else []
    names = header["kwargs"]["d"] if "kwargs" in header else []
    return {"an argument", *(f"argument {number}" for number in range(1, len(positions) + 1)), *(name for name, _ in names)}


def _indices(indices: list[Any], tensors: list[Tensor]) -> bool:
    return all(type(index) is int and 0 <= index < len(tensors) and tensors[index].dtype.is_floating_point for index in indices) and len(
        set(indices)
    ) == len(indices)


def _strings(raw: Any) -> list[str]:
    return [text for text in raw[:50] if isinstance(text, str) and len(text) <= 200] if isinstance(raw, list) else []


def _end_in_words(usage: WorkerUsage | None) -> str:
    """What a worker's end most likely means to the student."""
    exit_words = (usage.exit if usage is not None else None) or ""
    if "segmentation" in exit_words or "bus error" in exit_words:
        return f"The submission crashed the interpreter: its process {exit_words}."
    if "cpu" in exit_words.lower():
        return "The submission used up its processor time: does a loop never end?"
    if exit_words:
        return f"The submission ended its process: it {exit_words}."
    return "The submission stopped answering: it closed the connection to the grader."
