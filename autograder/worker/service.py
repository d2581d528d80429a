"""Answers the grader's questions about one submission, one reply to each question.

Everything here shares its process with the student's code and can be tampered with by it: the grader believes none of
it, and judges only the values that come back.
"""

from __future__ import annotations

import gc
import operator
import random
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from autograder.checking import given
from autograder.checking.measurement import Cost, Watching
from autograder.wire.codec import Decoder, Encoder, WireError, decode_tensors
from autograder.worker.analysis import analyse
from autograder.worker.forbidden import Ban
from autograder.worker.guarded import guarded_builtins

MAX_ERROR_TEXT = 2_000


@dataclass
class Graph:
    """One call whose results can be differentiated: leaves that require grad, and the results that do."""

    leaves: list[Tensor]
    results: list[Tensor]


class Service:
    """One submission: its module, the objects that it made, the graphs of the current test."""

    def __init__(self, ban: Ban) -> None:
        self.module: types.ModuleType | None = None
        self.filename = ""
        self.ban = ban
        self.objects: dict[int, Any] = {}
        self.ids: dict[int, int] = {}
        self.graphs: dict[int, Graph] = {}
        self.next_id = 1
        self.changed: list[str] = []
        self.payload = bytearray()
        self.cost: Cost | None = None
        self.operations: dict[str, Callable[[dict[str, Any], Decoder, Encoder], Any]] = {
            "analyse": lambda request, _d, _e: analyse(request["source"], request["filename"], request["forbidden"]),
            "load": self._load,
            "call": self._call,
            "get": self._get,
            "has": self._has,
            "backward": self._backward,
            "seed": self._seed,
        }

    def answer(self, header: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], bytes]:
        """Reply header and payload for one request."""
        if "begin" in header:
            self._begin_test(header["begin"])
        reply: dict[str, Any] = {"id": header.get("id")}
        encoder = Encoder(self._encode_object, keep_strides=False)
        self.changed = []
        self.payload = payload
        self.cost = Cost() if header.get("measure") else None
        try:
            decoder = Decoder(decode_tensors(header.get("tensors", []), payload, dense=False), self._decode_object)
            reply["value"] = self.operations[header["op"]](header, decoder, encoder)
            reply["tensors"] = encoder.specs
            data = encoder.payload()
        except BaseException as error:
            reply = {"id": header.get("id"), "error": self._describe(error)}
            data = b""
        if self.changed:
            reply["changed"] = self.changed
        if self.cost is not None:
            reply["cost"] = self.cost.as_json()
        if self.ban.used:
            reply["forbidden"] = list(self.ban.used)
        return reply, data

    def _begin_test(self, seed: int) -> None:
        self.objects.clear()
        self.ids.clear()
        self.graphs.clear()
        _seed_generators(seed)

    def _seed(self, request: dict[str, Any], _decoder: Decoder, _encoder: Encoder) -> None:
        _seed_generators(request["seed"])

    def _load(self, request: dict[str, Any], _decoder: Decoder, _encoder: Encoder) -> None:
        _seed_generators(0)
        self.ban.forbid(request["forbidden_names"], request["forbidden_operators"])
        self.filename = request["filename"]
        name = self.filename.removesuffix(".py")
        module = types.ModuleType(name)
        module.__file__ = self.filename
        module.__dict__["__builtins__"] = guarded_builtins()
        sys.modules[name] = module  # dataclasses and typing look a class's module up by its name
        code = compile(request["source"], self.filename, "exec", dont_inherit=True)
        exec(code, module.__dict__)
        self.module = module

    def _target(self, request: dict[str, Any]) -> Any:
        handle = request.get("handle")
        if request.get("given"):
            return partial(getattr(given, request["path"][0]), self.module)
        target = self.objects[handle] if handle is not None else self.module
        for attribute in request["path"]:
            target = getattr(target, attribute)
        return target

    def _has(self, request: dict[str, Any], _decoder: Decoder, _encoder: Encoder) -> bool:
        return hasattr(self.module, request["path"][0])

    def _get(self, request: dict[str, Any], _decoder: Decoder, encoder: Encoder) -> Any:
        target = self._target(request)
        if callable(target) and not isinstance(target, nn.Module):
            return {"callable": True}
        return {"value": encoder.encode(target)}

    def _call(self, request: dict[str, Any], decoder: Decoder, encoder: Encoder) -> Any:
        target = self._target(request)
        args = decoder.decode(request["args"])
        kwargs = decoder.decode(request["kwargs"])
        inputs = decoder.tensors
        versions = [_state_of(tensor) for tensor in inputs]
        before = bytes(self.payload)
        lists = [(name, value, list(value)) for name, value in _named(args, kwargs) if isinstance(value, list)]
        try:
            with torch.set_grad_enabled(bool(request["grad"])):
                result = self._measured(lambda: target(*args, **kwargs))
        finally:
            self._note_changes(args, kwargs, request["tensors"], inputs, versions, before)
            self.changed += [name for name, value, items in lists if len(value) != len(items) or any(map(operator.is_not, value, items))]
        value = encoder.encode(result)
        differentiable = [index for index, tensor in enumerate(encoder.tensors) if tensor.requires_grad and tensor.is_floating_point()]
        graph = None
        if differentiable and request["grad"]:
            leaves = [tensor for tensor in inputs if tensor.requires_grad] + self._parameters(request.get("handle"))
            graph = request["id"]
            self.graphs[graph] = Graph(leaves, [encoder.tensors[index] for index in differentiable])
        return {"value": value, "graph": graph, "differentiable": differentiable}

    def _parameters(self, handle: int | None) -> list[Tensor]:
        owner = self.objects.get(handle) if handle is not None else None
        return [parameter for parameter in owner.parameters() if parameter.requires_grad] if isinstance(owner, nn.Module) else []

    def _backward(self, request: dict[str, Any], decoder: Decoder, encoder: Encoder) -> Any:
        graph = self.graphs[request["graph"]]
        cotangents = decoder.decode(request["cotangents"])
        pairs = [(result, cotangent) for result, cotangent in zip(graph.results, cotangents, strict=True) if cotangent is not None]
        wanted = [graph.leaves[index] for index in request["wanted"]]
        gradients = self._measured(
            lambda: torch.autograd.grad(
                [result for result, _ in pairs],
                wanted,
                [cotangent for _, cotangent in pairs],
                retain_graph=True,
                allow_unused=True,
            )
        )
        return encoder.encode(list(gradients))

    def _measured(self, action: Callable[[], Any]) -> Any:
        if self.cost is None:
            return action()
        with Watching(self.cost):
            return action()

    def _note_changes(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], specs: list[Any], inputs: list[Tensor], versions: list[tuple[int, int]], before: bytes
    ) -> None:
        """Inputs lie in the message's own bytes, gaps between strided elements included: one comparison tells whether any changed."""
        touched = self.payload != before
        for spec, tensor, version in zip(specs, inputs, versions, strict=True):
            part = slice(spec["offset"], spec["offset"] + spec["length"])
            if _state_of(tensor) != version or (touched and self.payload[part] != before[part]):
                self.changed.append(_argument_name(tensor, args, kwargs))

    def _encode_object(self, value: Any) -> dict[str, Any]:
        if isinstance(value, torch.Size):
            return {"u": [int(size) for size in value]}
        known = self.ids.get(id(value))
        if known is None:
            known = self.next_id
            self.next_id += 1
            self.objects[known] = value
            self.ids[id(value)] = known
        return {"h": known, "class": type(value).__name__[:100], "parameters": _parameter_specs(value)}

    def _decode_object(self, node: dict[str, Any]) -> Any:
        if "h" in node:
            return self.objects[node["h"]]
        raise WireError("unknown value")

    def _describe(self, error: BaseException) -> dict[str, Any]:
        names = [base.__name__ for base in type(error).__mro__][:12]
        line = None
        if isinstance(error, SyntaxError) and error.filename == self.filename:
            line = error.lineno
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.filename:
                line = trace.tb_lineno
            trace = trace.tb_next
        try:
            text = str(error)[:MAX_ERROR_TEXT]
        except BaseException:
            text = ""
        return {"types": names, "text": text.encode("utf-8", "replace").decode(), "line": line}


def _seed_generators(seed: int) -> None:
    """All that a submission may draw from without a seed of its own, so that it draws the same in every grading."""
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    numpy.random.seed(seed % 2**32)


def _state_of(tensor: Tensor) -> tuple[int, int]:
    """Changes when a tensor is written to, and when `.data` gives it other memory."""
    return tensor._version, tensor.data_ptr()


def _argument_name(tensor: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    for name, value in _named(args, kwargs):
        if value is tensor or (isinstance(value, tuple | list) and any(item is tensor for item in value)):
            return name
    return "an argument"


def _named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(f"argument {position}", value) for position, value in enumerate(args, 1)] + list(kwargs.items())


def _parameter_specs(value: Any) -> list[list[Any]] | None:
    if not isinstance(value, nn.Module):
        return None
    return [
        [name, list(parameter.shape), str(parameter.dtype).removeprefix("torch."), parameter.requires_grad]
        for name, parameter in value.named_parameters()
    ]


def freeze() -> None:
    """Keep what exists now out of the collector's way, so that forked workers share its pages."""
    gc.collect()
    gc.freeze()
