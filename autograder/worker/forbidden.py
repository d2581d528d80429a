"""Operations that an assignment asks its students to write: here they raise instead of computing.

Python names are replaced, and the operators behind them are overridden in torch's own dispatcher, so that
`getattr`, `torch.ops`, `torch._C._nn`, `torch.vmap` or a reload of `torch.nn.functional` end in the same error. What is
overridden stays so for the life of the process: nothing that Python can reach holds what would take it back.
"""

from __future__ import annotations

import ctypes
import importlib
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch

# Where torch may keep another kernel of an operator than the one of ordinary tensors: for autograd, for what is made of other operators
# (which vmap takes apart), below vmap, for nested tensors, below autocast, for shapes alone.
_OTHER_KEYS = (
    "CompositeImplicitAutograd",
    "CompositeImplicitAutogradNestedTensor",
    "CompositeExplicitAutograd",
    "CompositeExplicitAutogradNonFunctional",
    "Autograd",
    "AutogradNestedTensor",
    "NestedTensorCPU",
    "FuncTorchBatched",
    "FuncTorchBatchedDecomposition",
    "BatchedNestedTensor",
    "FuncTorchVmapMode",
    "FuncTorchGradWrapper",
    "AutocastCPU",
    "MkldnnCPU",
    "ADInplaceOrView",
    "Functionalize",
    "Meta",
)


class ForbiddenOperationError(RuntimeError):
    """The submission used what it was asked to write."""

    def __init__(self, name: str) -> None:
        self.operation = name
        super().__init__(f"{name} is not allowed in this assignment")


class Ban:
    """Bans by dotted Python name ("torch.nn.functional.layer_norm") and by operator ("aten::native_layer_norm").

    `used` collects the names of banned operations that were called, also when the submission caught the error.
    """

    def __init__(self) -> None:
        self.used: list[str] = []
        self._in_force: set[str] = set()

    def forbid(self, names: Collection[str], operators: Collection[str]) -> None:
        """Put these in force; those that already are cost nothing."""
        for name in dict.fromkeys(names):
            if name not in self._in_force:
                self._replace(name)
        for operator in dict.fromkeys(operators):
            if operator not in self._in_force:
                self._override(operator)
        self._in_force.update(names, operators)

    def _raiser(self, name: str) -> Callable[..., Any]:
        def forbidden(*_args: Any, **_kwargs: Any) -> Any:
            if name not in self.used:
                self.used.append(name)
            raise ForbiddenOperationError(name)

        return forbidden

    def _replace(self, name: str) -> None:
        owner_name, _, attribute = name.rpartition(".")
        owner = _find(owner_name)
        if owner is None or not hasattr(owner, attribute):
            return
        target = getattr(owner, attribute)
        if isinstance(target, type):
            target.__init__ = self._raiser(_short(name))  # type: ignore[misc]
            if "forward" in vars(target):  # called on an instance made without __init__, or on another object
                target.forward = self._raiser(_short(name))  # type: ignore[attr-defined]
        else:
            setattr(owner, attribute, self._raiser(_short(name)))

    def _override(self, operator: str) -> None:
        namespace, _, name = operator.partition("::")
        packet = getattr(getattr(torch.ops, namespace), name, None)
        if packet is None:
            return
        raiser = self._raiser(f"torch.{name}")
        # torch.library.Library would leave what undoes it where the collector and `weakref` find it.
        library = torch._C._dispatch_library("IMPL", namespace, "", __file__, 0)
        for overload in packet.overloads():
            qualified = name if overload == "default" else f"{name}.{overload}"
            for key in _keys_of(f"{namespace}::{qualified}"):
                with warnings.catch_warnings(action="ignore"):  # that a kernel is replaced
                    library.impl(qualified, key, raiser)
        _keep_for_good(library)


def _keys_of(operator: str) -> Iterator[str]:
    """The dispatcher's keys under which this operator computes something."""
    # AutogradCPU sees calls on any input; CPU those that redispatch below autograd.
    yield from ("AutogradCPU", "CPU")
    yield from (key for key in _OTHER_KEYS if torch._C._dispatch_has_kernel_for_dispatch_key(operator, key))


def _keep_for_good(handle: Any) -> None:
    """One reference more than anybody holds: the handle is never freed, which would undo what it registered, and no object leads to it."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))


def _find(dotted: str) -> Any:
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part, None)
        return found
    return None


def _short(name: str) -> str:
    return name.replace("torch.nn.functional.", "F.").replace("torch.nn.", "nn.")
