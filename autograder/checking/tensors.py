"""Random inputs that the same submission always meets and nobody can foresee."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Tensors:
    """A source of test inputs, drawn from one seed in the order of the calls.

    Each method takes one or more shapes and returns one tensor, or a list of them when several were asked for.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generator = torch.Generator().manual_seed(seed)

    def normal(self, *shapes: Sequence[int], dtype: torch.dtype = torch.float64, scale: float = 1.0, requires_grad: bool = False) -> Any:
        """Standard normal values times `scale`, drawn in float64 and rounded to `dtype`."""
        drawn = [
            (torch.randn(*shape, generator=self._generator, dtype=torch.float64) * scale).to(dtype).requires_grad_(requires_grad) for shape in shapes
        ]
        return drawn[0] if len(drawn) == 1 else drawn

    def uniform(
        self, *shapes: Sequence[int], low: float = 0.0, high: float = 1.0, dtype: torch.dtype = torch.float64, requires_grad: bool = False
    ) -> Any:
        """Uniform values in [low, high)."""
        drawn = [
            (torch.rand(*shape, generator=self._generator, dtype=torch.float64) * (high - low) + low).to(dtype).requires_grad_(requires_grad)
            for shape in shapes
        ]
        return drawn[0] if len(drawn) == 1 else drawn

    def integers(self, *shapes: Sequence[int], low: int = 0, high: int, dtype: torch.dtype = torch.int64) -> Any:
        """Integers low … high − 1."""
        drawn = [torch.randint(low, high, tuple(shape), generator=self._generator).to(dtype) for shape in shapes]
        return drawn[0] if len(drawn) == 1 else drawn

    def mask(self, *shapes: Sequence[int], hidden: float = 0.4, keep_one: bool = True) -> Any:
        """Bool masks, True = hidden with this probability; with `keep_one` every row (last dimension) keeps a visible key."""
        drawn = []
        for shape in shapes:
            mask = torch.rand(*shape, generator=self._generator) < hidden
            if keep_one:
                kept = torch.randint(0, shape[-1], tuple(shape[:-1]), generator=self._generator)
                mask.scatter_(-1, kept.unsqueeze(-1), False)
            drawn.append(mask)
        return drawn[0] if len(drawn) == 1 else drawn

    def permutation(self, length: int) -> Tensor:
        """A random order of 0 … length − 1."""
        return torch.randperm(length, generator=self._generator)

    def integer(self, low: int, high: int) -> int:
        """One integer low … high − 1."""
        return int(torch.randint(low, high, (), generator=self._generator))

    def state_like(self, module: Any, dtype: torch.dtype = torch.float64, scale: float = 0.5) -> dict[str, Tensor]:
        """Random weights for a module: one tensor for each entry of its `state_dict()`, biases random too."""
        return {name: self.normal(tuple(value.shape), dtype=dtype, scale=scale) for name, value in module.state_dict().items()}
