"""What attention in tiles costs: the reference of 09 beside PyTorch's fused attention and the form that makes all scores at once.

python -m autograder.bench.flash

One head of 64 features in float32, the forward pass, every query seeing every key, one thread: small tiles are too little work to share,
and threads that wait for each other would be all that is measured. Times are medians of interleaved calls in this process; memory is
what a single call adds to the peak of a process of its own.
"""

from __future__ import annotations

import contextlib
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from autograder.bench.tables import Table
from autograder.checking.submission import load_module
from autograder.grading.paths import REFERENCES, REPOSITORY

FEATURES = 64
LENGTHS = (1024, 4096, 16_384)
BLOCKS = ((64, 64), (128, 128), (256, 256), (512, 256))  # the first is the contract's default
FUSED, NAIVE, TILED = "fused", "naive", "tiled"
Blocks = tuple[int, int]


@dataclass(frozen=True)
class FlashCost:
    """The tiled form at one length and one size of tile, with the two others at that length."""

    length: int
    block_q: int
    block_k: int
    tiled_seconds: float
    fused_seconds: float
    naive_seconds: float
    tiled_bytes: int
    fused_bytes: int
    naive_bytes: int

    @property
    def time_against_fused(self) -> float:
        return self.tiled_seconds / self.fused_seconds

    @property
    def time_against_naive(self) -> float:
        return self.tiled_seconds / self.naive_seconds

    @property
    def memory_of_naive(self) -> float:
        """How many times the tiled form's extra memory the naive one needs."""
        return self.naive_bytes / max(1, self.tiled_bytes)


def measure_flash(lengths: Sequence[int] = LENGTHS, blocks: Sequence[Blocks] = BLOCKS, repetitions: int = 5) -> list[FlashCost]:
    """One line for each length and size of tile. The defaults take one to two minutes, and 2.5 GiB for the naive form."""
    costs = []
    for length in lengths:
        seconds = _seconds(length, blocks, repetitions)
        memory = {form: _extra_bytes(*form, length) for form in _forms(blocks)}
        others = (seconds[FUSED, None], seconds[NAIVE, None])
        other_bytes = (memory[FUSED, None], memory[NAIVE, None])
        costs += [FlashCost(length, *tile, seconds[TILED, tile], *others, memory[TILED, tile], *other_bytes) for tile in blocks]
    return costs


def table(costs: Sequence[FlashCost]) -> Table:
    """Heads and lines, as the tables of `bench.tables`."""
    heads = ("tokens", "tile", "s", "× fused", "× naive", "MiB more", "fused", "naive", "naive / tiled")
    lines: list[tuple[str, ...]] = [
        (
            f"{cost.length:,}",
            f"{cost.block_q} × {cost.block_k}",
            f"{cost.tiled_seconds:.3f}",
            f"{cost.time_against_fused:.2f}",
            f"{cost.time_against_naive:.2f}",
            *(f"{of / 2**20:.1f}" for of in (cost.tiled_bytes, cost.fused_bytes, cost.naive_bytes)),
            f"{cost.memory_of_naive:.0f}",
        )
        for cost in costs
    ]
    return heads, lines


def _forms(blocks: Sequence[Blocks]) -> list[tuple[str, Blocks | None]]:
    return [(FUSED, None), (NAIVE, None), *((TILED, tile) for tile in blocks)]


def _attention(form: str, tile: Blocks | None) -> Callable[[Tensor, Tensor, Tensor], object]:
    if form == FUSED:
        return F.scaled_dot_product_attention
    if form == NAIVE:
        return _naive
    block_q, block_k = tile or BLOCKS[0]
    return partial(_reference().flash_attention_forward, block_q=block_q, block_k=block_k)


def _naive(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.softmax(query @ key.mT / math.sqrt(query.size(-1)), dim=-1) @ value


def _reference() -> ModuleType:
    return load_module(REFERENCES / "flash_attention.py", "flash_attention_measured")


def _inputs(length: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(length)
    query, key, value = torch.randn(3, 1, 1, length, FEATURES, generator=generator)
    return query, key, value


def _seconds(length: int, blocks: Sequence[Blocks], repetitions: int) -> dict[tuple[str, Blocks | None], float]:
    """Medians of wall clock. Every round runs every form once, so that a busy minute is none's alone."""
    inputs = _inputs(length)
    forms = {form: _attention(*form) for form in _forms(blocks)}
    taken: dict[tuple[str, Blocks | None], list[float]] = {form: [] for form in forms}
    with torch.no_grad(), _one_thread():
        for repetition in range(repetitions + 1):
            for form, attend in forms.items():
                start = time.perf_counter()
                attend(*inputs)
                if repetition:  # the first round warms up
                    taken[form].append(time.perf_counter() - start)
    return {form: median(values) for form, values in taken.items()}


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _extra_bytes(form: str, tile: Blocks | None, length: int) -> int:
    command = [sys.executable, "-m", "autograder.bench.flash", form, str(length), *map(str, tile or ())]
    return int(subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout)


def _measure_here(form: str, length: int, tile: Blocks | None) -> int:
    """What one call adds to this process's peak of memory, beyond its inputs."""
    attend, inputs = _attention(form, tile), _inputs(length)
    with torch.no_grad(), _one_thread():
        attend(*_inputs(64))  # loads what is loaded once
        before = _restarted_peak()
        attend(*inputs)
        return _peak() - before


def _restarted_peak() -> int:
    """The peak from now on, where the system can forget the one before (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _peak()


def _peak() -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given:
        form, length, *tile = given
        print(_measure_here(form, int(length), (int(tile[0]), int(tile[1])) if tile else None))
        return 0
    heads, lines = table(measure_flash())
    widths = [max(len(line[column]) for line in (heads, *lines)) for column in range(len(heads))]
    for line in (heads, *lines):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
