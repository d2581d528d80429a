"""What the next token costs: the reference of 07 with its caches and without, after prefixes of several lengths.

python -m autograder.bench.decoding

One sequence, a model of 4 layers and 128 features in float32, on one core. Times are CPU seconds, medians of interleaved calls in this process;
operations (a multiplication and an addition are two) are counted, and the same on every machine.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from autograder.bench.tables import Table
from autograder.checking.measurement import watching
from autograder.checking.submission import load_module
from autograder.grading.paths import REFERENCES

VOCAB_SIZE, D_MODEL, NUM_HEADS, D_FF, NUM_LAYERS = 1000, 128, 4, 512, 4
LENGTHS = (16, 128, 512, 1024)
CACHED, UNCACHED = "cached", "uncached"


@dataclass(frozen=True)
class DecodingCost:
    """One more token after `length` others, with caches that hold these and without caches."""

    length: int
    cached_seconds: float
    uncached_seconds: float
    cached_operations: int
    uncached_operations: int

    @property
    def speedup(self) -> float:
        """How many times as long the token takes without caches."""
        return self.uncached_seconds / self.cached_seconds

    @property
    def operations_saved(self) -> float:
        """How many times as many operations it takes without caches."""
        return self.uncached_operations / self.cached_operations


def measure_decoding(lengths: Sequence[int] = LENGTHS, repetitions: int = 15) -> list[DecodingCost]:
    """One line for each length of what came before. The defaults take a few seconds."""
    model = _model(max(lengths) + 1)
    token_ids = torch.randint(VOCAB_SIZE, (1, max(lengths) + 1), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), _one_thread():
        steps = {(form, length): make(model, token_ids, length) for length in lengths for form, make in ((CACHED, _cached), (UNCACHED, _uncached))}
        seconds = _seconds(steps, repetitions)
        operations = {key: _operations(step) for key, step in steps.items()}
    return [
        DecodingCost(length, seconds[CACHED, length], seconds[UNCACHED, length], operations[CACHED, length], operations[UNCACHED, length])
        for length in lengths
    ]


def table(costs: Sequence[DecodingCost]) -> Table:
    """Heads and lines, as the tables of `bench.tables`; "×" columns hold cost against that after the first length."""
    heads = ("tokens before", "cached ms", "×", "uncached ms", "×", "uncached / cached", "cached Mop", "uncached Mop", "ratio")
    lines: list[tuple[str, ...]] = [
        (
            f"{cost.length:,}",
            f"{1000 * cost.cached_seconds:.2f}",
            f"{cost.cached_seconds / costs[0].cached_seconds:.1f}",
            f"{1000 * cost.uncached_seconds:.2f}",
            f"{cost.uncached_seconds / costs[0].uncached_seconds:.1f}",
            f"{cost.speedup:.1f}",
            f"{cost.cached_operations / 1e6:.2f}",
            f"{cost.uncached_operations / 1e6:.1f}",
            f"{cost.operations_saved:.0f}",
        )
        for cost in costs
    ]
    return heads, lines


def _model(max_len: int) -> Any:
    reference = load_module(REFERENCES / "kv_cache.py", "kv_cache_measured")
    return reference.CachedCausalLM(VOCAB_SIZE, D_MODEL, NUM_HEADS, D_FF, NUM_LAYERS, max_len).eval()


def _cached(model: Any, token_ids: Tensor, length: int) -> Callable[[], None]:
    """A step after `length` stored positions, which it leaves as it found them."""
    caches = model.new_caches(1)
    model(token_ids[:, :length], caches)

    def step() -> None:
        model(token_ids[:, length : length + 1], caches)
        for cache in caches:
            cache.truncate(length)

    return step


def _uncached(model: Any, token_ids: Tensor, length: int) -> Callable[[], None]:
    return partial(model, token_ids[:, : length + 1])


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """A step with caches is too small to share, and waiting for a busy second core would be all that is measured."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(steps: dict[tuple[str, int], Callable[[], None]], repetitions: int) -> dict[tuple[str, int], float]:
    """Medians of CPU time, all of which is this thread's. Every round runs every step once, so that a busy minute is none's alone."""
    taken: dict[tuple[str, int], list[float]] = {key: [] for key in steps}
    for repetition in range(repetitions + 1):
        for key, step in steps.items():
            start = time.thread_time()
            step()
            if repetition:  # the first round warms up
                taken[key].append(time.thread_time() - start)
    return {key: median(values) for key, values in taken.items()}


def _operations(step: Callable[[], None]) -> int:
    with sdpa_kernel(SDPBackend.MATH), watching() as cost:  # fused attention is not counted
        step()
    return cost.flops


def main() -> int:
    heads, lines = table(measure_decoding())
    widths = [max(len(line[column]) for line in (heads, *lines)) for column in range(len(heads))]
    for line in (heads, *lines):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
