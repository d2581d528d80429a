"""The fixture `submission` when a grade is at stake: looks like the student's module, and lives in the worker.

Gradients join the grader's own graph: a result that can be differentiated comes out of an autograd function whose backward
asks the worker, so that `torch.autograd.grad` and `gradcheck` just work. Each use of a parameter is a leaf here that
stands for the one there.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from autograder.checking.assertions import Mismatch
from autograder.checking.measurement import Cost
from autograder.checking.submission import Observer
from autograder.grading.errors import SubmissionError, WithheldError, WorkerLostError
from autograder.grading.worker_link import METHOD, WorkerLink, short_name
from autograder.wire.codec import MAX_EMPTY_NUMEL, Encoder, WireError

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64,
        torch.float32,
        torch.bfloat16,
        torch.float16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
    )
}
_MAX_PARAMETERS = 2_000
_MAX_NAME, _MAX_PARTS = 100, 7
# What torch's own modules call their parts and parameters.
_USUAL_ENTRIES = frozenset(
    """
    weight bias in_proj_weight in_proj_bias out_proj q_proj_weight k_proj_weight v_proj_weight bias_k bias_v self_attn multihead_attn layers
    linear1 linear2 norm norm1 norm2 norm3 dropout dropout1 dropout2 dropout3 encoder decoder running_mean running_var num_batches_tracked
    """.split()
)
# A class's name is shown to the student. Any other must stand in the source, or it could be made up to carry something.
_USUAL_CLASSES = frozenset("object bytes bytearray complex set frozenset range generator function method ndarray Linear ModuleList Dropout".split())


class RemoteSubmission:
    """A submission in its worker. Offers what `checking.submission.Submission` names."""

    def __init__(
        self,
        link: WorkerLink,
        tainted: Mapping[str, tuple[str, int]],
        public_text: str | None = None,
        filename: str = "",
        uncounted: tuple[int, str] | None = None,
        intrusive: tuple[int, str] | None = None,
    ) -> None:
        """public_text: what the student knows already, the submission included. filename: what was handed in, where it is not the link's.

        uncounted, intrusive: line and words of what can change or escape a count of costs, and of what can reach the worker's own objects.
        Then no cost is believed, and nothing that the worker says of its own doings.
        """
        self._link = link
        self._filename = filename or link.source.filename
        self._tainted = tainted
        self._uncounted = uncounted
        self._intrusive = intrusive
        self._public_text = link.source.text if public_text is None else public_text
        self._changed: list[str] = []
        self._handles: dict[int, RemoteHandle] = {}
        self._other_names: dict[str, str] = {}
        self._observer: Observer | None = None

    @cached_property
    def _names_in_source(self) -> frozenset[str]:
        return frozenset(re.findall(r"[A-Za-z_]\w*", self._link.source.text))

    @cached_property
    def _names_of_entries(self) -> frozenset[str]:
        return _USUAL_ENTRIES.union(re.findall(r"[A-Za-z_]\w*", self._public_text))

    def _entry_name(self, raw: str) -> str:
        """A parameter's name, which messages repeat; another in its place where it is made up and could carry something."""
        parts = raw.split(".")
        if (
            len(raw) <= _MAX_NAME
            and len(parts) <= _MAX_PARTS
            and all(part in self._names_of_entries or (part.isdecimal() and len(part) <= 3) for part in parts)
        ):
            return raw
        return self._other_names.setdefault(raw, f"entry_{len(self._other_names) + 1}")

    def _own_names(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same under the names that the submission gave them."""
        raw_names = {name: raw for raw, name in self._other_names.items()}
        return {raw_names.get(name, name): value for name, value in weights.items()}

    @property
    def changed_inputs(self) -> list[str]:
        """Raises WithheldError where the source can reach what notes the changes."""
        self._refuse_intruders("Whether your code changes what it is given cannot be told")
        return list(self._changed)

    @property
    def lost(self) -> WorkerLostError | None:
        """Why the worker could not answer to the end of this test."""
        return WorkerLostError(self._link.lost) if self._link.lost is not None else None

    def start_test(self, seed: int) -> None:
        """Forget what the last test did."""
        self._changed.clear()
        self._handles.clear()
        self._other_names.clear()
        self._link.start_test(seed)

    @contextlib.contextmanager
    def observed_by(self, observer: Observer) -> Iterator[None]:
        """Tell `observer` each result, or the error raised instead."""
        self._observer = observer
        try:
            yield
        finally:
            self._observer = None

    def has(self, name: str) -> bool:
        return self._ask({"op": "has", "path": [name]}) is True

    def seed(self, value: int) -> None:
        self._ask({"op": "seed", "seed": value})

    @contextlib.contextmanager
    def measuring(self) -> Iterator[Cost]:
        """Raises WithheldError where the source does what a count cannot be trusted after."""
        if self._uncounted is not None:
            line, words = self._uncounted
            self._link.measured = True
            raise WithheldError(f"What your code costs cannot be counted: it {words}, which can change or escape the count.", line)
        self._link.cost = Cost()
        try:
            yield self._link.cost
        finally:
            self._link.cost = None

    @contextlib.contextmanager
    def limits(self, *, call_seconds: float | None = None, memory_bytes: int | None = None) -> Iterator[None]:
        """Other limits inside the block. Objects made before it are gone in it, those made in it after it."""
        self._link.use_limits(call_seconds, memory_bytes)
        self._handles.clear()
        try:
            yield
        finally:
            self._handles.clear()
            self._link.use_limits()

    def _refuse_intruders(self, reason: str) -> None:
        if self._intrusive is not None:
            line, words = self._intrusive
            raise WithheldError(f"{reason}: it {words}, which reaches the grader's own objects.", line)

    def given(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Run a function of `checking.given` where the module is. Raises WithheldError where the source can reach that function."""
        self._refuse_intruders("What is watched where your code runs cannot be told")
        return self._call(None, [name], args, kwargs, given=True)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        used = self._tainted.get(name)
        if used is not None:
            operation, line = used
            raise Mismatch(f"your {name} uses {short_name(operation)} (line {line} of {self._link.source.filename}), which is to be written by hand.")
        return lambda *args, **kwargs: self._call(None, [name], args, kwargs)

    def _ask(self, header: dict[str, Any]) -> Any:
        return self._link.ask(lambda _encoder: header, self._encode_object, self._decode_object).value

    def _call(self, handle: RemoteHandle | None, path: list[str], args: tuple[Any, ...], kwargs: dict[str, Any], *, given: bool = False) -> Any:
        return self._observe(lambda: self._call_unobserved(handle, path, args, kwargs, given=given))

    def _call_unobserved(
        self, handle: RemoteHandle | None, path: list[str], args: tuple[Any, ...], kwargs: dict[str, Any], *, given: bool = False
    ) -> Any:
        def question(encoder: Encoder) -> dict[str, Any]:
            return {
                "op": "call",
                "path": path,
                "given": given,
                "handle": handle._id if handle else None,
                "grad": torch.is_grad_enabled(),
                "args": encoder.encode(args),
                "kwargs": {"d": [[name, encoder.encode(value)] for name, value in kwargs.items()]},
            }

        try:
            answer = self._link.ask(question, self._encode_object, self._decode_object)
        except SubmissionError as error:
            if handle is None and error.builtin_name == "AttributeError" and error.line is None and not self.has(path[0]):
                raise Mismatch(f"{self._filename} does not define {path[0]}.") from None
            raise
        label = path[-1] if path else handle._label if handle else ""
        self._changed += [f"{label}({name})" for name in answer.changed]
        if answer.graph is None:
            return answer.value
        leaves = [tensor for tensor in answer.sent if tensor.requires_grad] + (handle._learned() if handle else [])
        results = [tensor for tensor in answer.tensors if tensor.requires_grad]
        bridge = _Bridge(self, answer.graph, [tensor.detach() for tensor in results])
        joined = _Join.apply(bridge, *leaves) if leaves else ()  # type: ignore[no-untyped-call]
        replacement = {id(before): after for before, after in zip(results, joined, strict=False)}
        return _replace(answer.value, replacement)

    def _gradients(self, graph: int, cotangents: list[Tensor | None], wanted: list[int], leaves: list[tuple[torch.Size, torch.dtype]]) -> list[Any]:
        def question(encoder: Encoder) -> dict[str, Any]:
            return {"op": "backward", "graph": graph, "wanted": wanted, "cotangents": encoder.encode(cotangents)}

        gradients = self._link.ask(question, self._encode_object, self._decode_object).value
        if not isinstance(gradients, list) or len(gradients) != len(wanted):
            raise WorkerLostError("The gradients could not be read: they do not fit the question.")
        for gradient, index in zip(gradients, wanted, strict=True):
            fits = gradient is None or (isinstance(gradient, Tensor) and (gradient.shape, gradient.dtype) == leaves[index])
            if not fits:
                raise WorkerLostError("The gradients could not be read: they do not fit the question.")
        return gradients

    def _observe(self, action: Callable[[], Any]) -> Any:
        try:
            result = action()
        except Exception as error:
            if self._observer is not None:
                self._observer(error)
            raise
        if self._observer is not None:
            self._observer(result)
        return result

    def _encode_object(self, value: Any) -> dict[str, Any]:
        if isinstance(value, RemoteHandle):
            return {"h": value._id}
        raise TypeError(f"a test passed a {type(value).__name__} to the submission; only data and handles cross")

    def _decode_object(self, node: dict[str, Any]) -> Any:
        number = node.get("h")
        if type(number) is not int:
            raise WireError("an answer holds something that is not data")
        handle = self._handles.get(number)
        if handle is None:
            if len(self._handles) > 10_000:
                raise WireError("an answer holds too many objects")
            kind = node.get("class")
            known = isinstance(kind, str) and kind.isidentifier() and (kind in _USUAL_CLASSES or kind in self._names_in_source)
            handle = self._handles[number] = RemoteHandle(self, number, str(kind) if known else "object")
        handle._parameter_specs(node.get("parameters"))
        return handle


class RemoteHandle:
    """An object that the worker holds: a module, a cache. Offers what `checking.submission.Handle` names."""

    def __init__(self, submission: RemoteSubmission, number: int, label: str) -> None:
        self._submission = submission
        self._id = number
        self._label = label
        self._specs: list[tuple[str, tuple[int, ...], torch.dtype, bool]] = []
        self._leaf: dict[str, Tensor] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._submission._call(self, [], args, kwargs)

    def load_state_dict(self, weights: Mapping[str, Tensor]) -> RemoteHandle:
        self._submission._observe(lambda: self._method("load_state_dict", self._submission._own_names(weights)) and None)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        return self._submission._observe(self._state)  # type: ignore[no-any-return]

    def _state(self) -> dict[str, Tensor]:
        found = self._method("state_dict")
        if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
            raise Mismatch("the state dict is not a mapping of names to tensors.")
        return {self._submission._entry_name(str(name)): value.detach() for name, value in found.items()}

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        self._submission._ask({"op": "get", "handle": self._id, "path": []})  # a call may have registered more of them
        values = self._state()
        for (name, *_), leaf in zip(self._specs, self._leaves(), strict=True):
            fits = name in values and values[name].shape == leaf.shape
            leaf.data.copy_(values[name] if fits else torch.zeros(()))
        return [(name, self._leaf[name]) for name, *_ in self._specs]

    def parameters(self) -> list[Tensor]:
        return [leaf for _, leaf in self.named_parameters()]

    def train(self, mode: bool = True) -> RemoteHandle:
        self._method("train", mode)
        return self

    def eval(self) -> RemoteHandle:
        return self.train(False)

    def to(self, dtype: torch.dtype) -> RemoteHandle:
        self._method("to", dtype)
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = self._submission._ask({"op": "get", "handle": self._id, "path": [name]})
        if value is METHOD:
            return lambda *args, **kwargs: self._submission._call(self, [name], args, kwargs)
        return self._submission._observe(lambda: value)

    def kind_of_object(self) -> str:
        return self._label

    def _method(self, name: str, *args: Any) -> Any:
        with torch.no_grad():
            return self._submission._call_unobserved(self, [name], args, {})

    def _parameter_specs(self, raw: Any) -> None:
        if raw is None:
            return
        specs = []
        for entry in raw if isinstance(raw, list) and len(raw) <= _MAX_PARAMETERS else [None]:
            if not isinstance(entry, list) or len(entry) != 4 or not isinstance(entry[0], str) or not isinstance(entry[1], list):
                raise WireError("a module's parameters are malformed")
            if entry[2] not in _DTYPES or len(entry[1]) > 16 or not all(type(size) is int and 0 <= size < 2**31 for size in entry[1]):
                raise WireError("a module's parameters are malformed")
            if 0 in entry[1] and math.prod(size or 1 for size in entry[1]) > MAX_EMPTY_NUMEL:
                raise WireError("a module's parameters have absurd shapes")
            dtype = _DTYPES[entry[2]]
            specs.append((self._submission._entry_name(entry[0]), tuple(entry[1]), dtype, entry[3] is True and dtype.is_floating_point))
        if sum(math.prod(shape) * dtype.itemsize for _, shape, dtype, _ in specs) > self._submission._link.limits.memory_bytes:
            raise WireError("a module's parameters are larger than the memory allowed")
        if specs != self._specs:
            self._specs, self._leaf = specs, {}

    def _learned(self) -> list[Tensor]:
        """Parameters that gradients reach: all but those that the submission froze."""
        return [leaf for leaf in self._leaves() if leaf.requires_grad]

    def _leaves(self) -> list[Tensor]:
        for name, shape, dtype, learned in self._specs:
            if name not in self._leaf:
                # Room that is never written costs nothing, whatever sizes the worker claims.
                self._leaf[name] = torch.empty(shape, dtype=dtype, requires_grad=learned)
        return [self._leaf[name] for name, *_ in self._specs]


@dataclass
class _Bridge:
    submission: RemoteSubmission
    graph: int
    results: list[Tensor]


class _Join(torch.autograd.Function):
    """Results of one call as functions of its leaves."""

    @staticmethod
    def forward(ctx: Any, bridge: _Bridge, *leaves: Tensor) -> tuple[Tensor, ...]:
        ctx.bridge = bridge
        ctx.leaves = [(leaf.shape, leaf.dtype) for leaf in leaves]
        ctx.set_materialize_grads(False)
        return tuple(bridge.results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:
        wanted = [index for index, needed in enumerate(ctx.needs_input_grad[1:]) if needed]
        gradients: list[Any] = [None] * len(ctx.leaves)
        for index, gradient in zip(wanted, ctx.bridge.submission._gradients(ctx.bridge.graph, list(cotangents), wanted, ctx.leaves), strict=True):
            gradients[index] = gradient
        return (None, *gradients)


def _replace(value: Any, replacement: dict[int, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return replacement.get(id(value), value)
    if isinstance(value, tuple | list):
        return type(value)(_replace(item, replacement) for item in value)
    if isinstance(value, dict):
        return {key: _replace(item, replacement) for key, item in value.items()}
    return value
