"""Cost without a clock: what a call allocates, multiplies and keeps, seen below Python's own functions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_aten = torch.ops.aten


def _with_vector(matrix: Tensor, *_args: Any, **_kwargs: Any) -> int:
    return 2 * matrix.numel()


def _added_to_vector(_added: Tensor, matrix: Tensor, *_args: Any, **_kwargs: Any) -> int:
    return 2 * matrix.numel()


def _with_each_row(rows: Tensor, others: Tensor, *_args: Any, **_kwargs: Any) -> int:
    return 2 * rows.numel() * others.size(-2)


# PyTorch's own table leaves out the products that are added in place, those with a vector, and what distances are made of.
_FLOPS = {
    **flop_registry,
    _aten.addmm_: flop_registry[_aten.addmm],
    _aten.baddbmm_: flop_registry[_aten.baddbmm],
    **dict.fromkeys((_aten.mv, _aten.dot, _aten.vdot), _with_vector),
    **dict.fromkeys((_aten.addmv, _aten.addmv_), _added_to_vector),
    **dict.fromkeys((_aten._cdist_forward, _aten._euclidean_dist), _with_each_row),
}

_ELEMENTWISE = frozenset([_aten.mul, _aten.mul_, _aten.addcmul, _aten.addcmul_])


@dataclass
class Cost:
    """What the calls inside a `measuring()` block did. Sizes are numbers of elements, not bytes.

    flops: of matrix products. elementwise_flops: twice the numbers that products of two tensors, element by element, made: with a sum over
    a dimension they are a matrix product by another way.
    """

    largest_tensor: int = 0
    flops: int = 0
    elementwise_flops: int = 0
    saved_numbers: int = 0
    operations: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> list[Any]:
        """The numbers in the order of their names above, then the operations."""
        return [self.largest_tensor, self.flops, self.elementwise_flops, self.saved_numbers, dict(self.operations)]

    def add(self, other: Cost) -> None:
        self.largest_tensor = max(self.largest_tensor, other.largest_tensor)
        self.flops += other.flops
        self.elementwise_flops += other.elementwise_flops
        self.saved_numbers += other.saved_numbers
        self.operations.update(other.operations)


class _Watch(TorchDispatchMode):
    def __init__(self, cost: Cost) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.cost = cost

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func._overloadpacket
        count = _FLOPS.get(packet)
        if count is None and func._can_decompose():  # under inference_mode: what it is made of comes here in its place
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        self.cost.operations[str(packet)] += 1
        if count is not None:
            self.cost.flops += int(count(*args, **kwargs, out_val=result))
        elif packet in _ELEMENTWISE and all(isinstance(factor, Tensor) and factor.dim() for factor in args[-2:]):
            self.cost.elementwise_flops += 2 * result.numel()
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                # A view costs what it keeps alive; an expanded stride-0 view costs nothing.
                stored = tensor.untyped_storage().nbytes() // max(1, tensor.element_size())
                self.cost.largest_tensor = max(self.cost.largest_tensor, min(stored, tensor.numel()))
        return result


class Watching:
    """Context manager that fills a `Cost` with what happens inside it."""

    def __init__(self, cost: Cost) -> None:
        self.cost = cost
        self._watch = _Watch(cost)
        self._kept: dict[int, int] = {}
        self._hooks = saved_tensors_hooks(self._note_saved, lambda tensor: tensor)

    def _note_saved(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._kept[storage.data_ptr()] = storage.nbytes() // max(1, tensor.element_size())
        return tensor

    def __enter__(self) -> Cost:
        self._watch.__enter__()  # type: ignore[no-untyped-call]
        self._hooks.__enter__()
        return self.cost

    def __exit__(self, *exc_info: Any) -> None:
        self._hooks.__exit__(*exc_info)
        self._watch.__exit__(*exc_info)  # type: ignore[no-untyped-call]
        self.cost.saved_numbers += sum(self._kept.values())


def watching() -> Watching:
    return Watching(Cost())
