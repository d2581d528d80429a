"""The fixture `submission`: a student's module as a test sees it, and the backend that runs it in this process.

A test calls it like the module itself::

    output, weights = submission.scaled_dot_product_attention(query, key, value, mask=mask)
    attention = submission.MultiHeadAttention(12, 3)          # a handle: the object stays where the student's code runs
    attention.load_state_dict(weights)
    output, weights = attention(query, query, query)
    (gradient,) = torch.autograd.grad(output.sum(), [query])

Two backends answer: the one here, in the same process, so that a breakpoint in the student's code stops there; and the
worker process behind a wire, the only one that a grade may come from. Both offer exactly what `Submission` and `Handle`
name. Tests under `torch.no_grad()` run the student's code under it too.
"""

from __future__ import annotations

import contextlib
import importlib.util
import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from autograder.checking import given
from autograder.checking.measurement import Cost, Watching


class Handle(Protocol):
    """An object of the submission's: a module, a cache. Other attributes are its own methods and plain values."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def load_state_dict(self, weights: Mapping[str, Tensor]) -> Any:
        """Load weights by name, strictly."""

    def state_dict(self) -> dict[str, Tensor]: ...

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """Leaf tensors that `torch.autograd.grad` accepts; a Parameter under two names appears once."""

    def parameters(self) -> list[Tensor]: ...

    def train(self, mode: bool = True) -> Any: ...

    def eval(self) -> Any: ...

    def to(self, dtype: torch.dtype) -> Any: ...


class Submission(Protocol):
    """A student's module. Any other attribute is a function or class of the module."""

    @property
    def changed_inputs(self) -> list[str]:
        """Arguments that calls of this test changed in place, as "function(argument 2)"; the caller's tensor or list is left as it was."""

    def has(self, name: str) -> bool:
        """Whether the module defines this name."""

    def seed(self, value: int) -> None:
        """`torch.manual_seed` where the student's code runs."""

    def measuring(self) -> contextlib.AbstractContextManager[Cost]:
        """Measure every call made inside the block, backward passes too."""

    def limits(self, *, call_seconds: float | None = None, memory_bytes: int | None = None) -> contextlib.AbstractContextManager[None]:
        """Other limits inside the block, in a fresh process where there is one: make the objects that it needs inside it."""

    def given(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Run a function of `checking.given` where the student's code runs; the module is its first argument."""


def load_module(path: Path, name: str | None = None) -> ModuleType:
    """Import a Python file as a module under its stem."""
    name = name or path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    previous = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and typing look a class's module up by its name
    try:
        spec.loader.exec_module(module)
    finally:
        if previous is None:
            del sys.modules[name]
        else:
            sys.modules[name] = previous
    return module


Observer = Callable[[Any], None]


class LocalSubmission:
    """A submission in this very process, for students and authors. It is never graded."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._changed: list[str] = []
        self._cost: Cost | None = None
        self._observer: Observer | None = None

    @property
    def changed_inputs(self) -> list[str]:
        return list(self._changed)

    @property
    def lost(self) -> None:
        """Never: there is no worker that could be."""

    def has(self, name: str) -> bool:
        return hasattr(self._module, name)

    def start_test(self, seed: int) -> None:
        """Forget what the last test did."""
        self._changed.clear()
        self.seed(seed)

    def seed(self, value: int) -> None:
        torch.default_generator.manual_seed(value)  # torch.manual_seed looks at every accelerator, a hundred times as long

    @contextlib.contextmanager
    def observed_by(self, observer: Observer) -> Iterator[None]:
        """Tell `observer` each result, or the error raised instead, as the module gave it."""
        self._observer = observer
        try:
            yield
        finally:
            self._observer = None

    @contextlib.contextmanager
    def measuring(self) -> Iterator[Cost]:
        self._cost = Cost()
        with Watching(self._cost):
            try:
                yield self._cost
            finally:
                self._cost = None

    @contextlib.contextmanager
    def limits(self, *, call_seconds: float | None = None, memory_bytes: int | None = None) -> Iterator[None]:
        """Nothing: this process has none."""
        yield

    def given(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return self._call(partial(getattr(given, name), self._module), name, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            target = getattr(self._module, name)
        except AttributeError:
            raise AttributeError(f"{self._module.__name__}.py does not define {name}") from None
        return self._wrap(target, name)

    def _call(self, target: Callable[..., Any], label: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = [(name, tensor, tensor.detach().clone()) for name, tensor in _tensors_of(args, kwargs)]
        own_args, own_kwargs = _unwrap(args), _unwrap(kwargs)  # lists of the callee's own: the caller's stay as they are
        lists = [(name, value, list(value)) for name, value in _named(own_args, own_kwargs) if isinstance(value, list)]
        result = self._observe(lambda: target(*own_args, **own_kwargs))
        self._changed += [f"{label}({name})" for name, value, items in lists if len(value) != len(items) or any(map(operator.is_not, value, items))]
        changed = [entry for entry in given if not _same_bits(entry[1].detach(), entry[2])]
        if changed:
            result = _copied(result)  # it may share memory with an argument that is put back now
        for name, tensor, before in changed:
            self._changed.append(f"{label}({name})")
            tensor.detach().copy_(before)
        return self._wrap(result, label)

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

    def _wrap(self, value: Any, label: str) -> Any:
        if value is None or isinstance(value, Tensor | bool | int | float | str | torch.dtype):
            return value
        if isinstance(value, tuple | list):
            return type(value)(self._wrap(item, label) for item in value) if type(value) in (tuple, list) else tuple(value)
        if isinstance(value, dict):
            return {key: self._wrap(item, label) for key, item in value.items()}
        if callable(value) and not isinstance(value, nn.Module):
            return lambda *args, **kwargs: self._call(value, label, args, kwargs)
        return LocalHandle(self, value, label)


class LocalHandle:
    """An object of a `LocalSubmission`."""

    def __init__(self, owner: LocalSubmission, target: Any, label: str) -> None:
        self._owner = owner
        self._target = target
        self._label = label

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._owner._call(self._target, self._label, args, kwargs)

    def load_state_dict(self, weights: Mapping[str, Tensor]) -> LocalHandle:
        self._owner._observe(lambda: self._target.load_state_dict(weights) and None)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self._owner._observe(lambda: {name: value.detach().clone() for name, value in self._target.state_dict().items()}))

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        return list(self._target.named_parameters())

    def parameters(self) -> list[Tensor]:
        return list(self._target.parameters())

    def train(self, mode: bool = True) -> LocalHandle:
        self._target.train(mode)
        return self

    def eval(self) -> LocalHandle:
        return self.train(False)

    def to(self, dtype: torch.dtype) -> LocalHandle:
        self._target.to(dtype)
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._target, name)
        if not callable(value):
            self._owner._observe(lambda: value)
        return self._owner._wrap(value, f"{self._label}.{name}")

    def kind_of_object(self) -> str:
        return type(self._target).__name__


def _unwrap(value: Any) -> Any:
    if isinstance(value, LocalHandle):
        return value._target
    if isinstance(value, tuple | list):
        return type(value)(_unwrap(item) for item in value)
    if isinstance(value, dict):
        return {key: _unwrap(item) for key, item in value.items()}
    return value


def _named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(f"argument {position}", value) for position, value in enumerate(args, 1)] + list(kwargs.items())


def _tensors_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    seen: set[int] = set()
    for name, value in _named(args, kwargs):
        for tensor in value if isinstance(value, tuple | list) else (value,):
            if isinstance(tensor, Tensor) and id(tensor) not in seen:
                seen.add(id(tensor))
                yield name, tensor


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if type(value) in (tuple, list):
        return type(value)(_copied(item) for item in value)
    return value


def _same_bits(tensor: Tensor, before: Tensor) -> bool:
    if tensor.shape != before.shape or tensor.dtype != before.dtype:
        return False
    return bool(torch.equal(torch.nan_to_num(tensor), torch.nan_to_num(before))) if tensor.is_floating_point() else bool(torch.equal(tensor, before))
