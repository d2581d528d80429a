"""Figures of 09_flash_attention: which tiles a causal pass computes, and how the largest tensor grows."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from autograder.checking.measurement import watching

# Title, L, S, block_q, block_k.
CASES = (("L = S", 12, 12, 4, 3), ("L < S: 4 keys came before", 8, 12, 4, 3), ("L > S: 4 queries see nothing", 12, 8, 3, 4))
COMPUTED, MASKED, SKIPPED, LINE, INK = "#7fb2e5", "#cfe3f7", "#f3f3f3", "#57606a", "#1f2328"
LENGTHS = (64, 128, 256, 512, 1024)
WIDTH, BLOCK = 16, 32
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "flash_attention",  # without one, every run gives other identifiers
    "svg.fonttype": "none",  # text as text: a third of the size
    "font.size": 9,
    "figure.facecolor": "white",  # legible on a dark page too
}


def draw(folder: Path, reference: ModuleType) -> list[Path]:
    """Write tiles.svg and memory.svg into `folder`, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        for name, figure in (("tiles.svg", _tiles(reference)), ("memory.svg", _memory(reference))):
            figure.savefig(folder / name, metadata={"Date": None})
            written.append(folder / name)
    return written


def _tiles(reference: ModuleType) -> Figure:
    figure = Figure(figsize=(9, 3.3), layout="constrained")
    for axes, (title, L, S, block_q, block_k) in zip(figure.subplots(1, len(CASES)), CASES, strict=True):
        touched = _touched(reference, L, S, block_q, block_k)
        visible = torch.ones(L, S, dtype=torch.bool).tril(S - L)
        for i in range(0, L, block_q):
            for j in range(0, S, block_k):
                whole = bool(visible[i : i + block_q, j : j + block_k].all())
                colour = SKIPPED if not touched[i, j] else COMPUTED if whole else MASKED
                axes.add_patch(Rectangle((j, i), block_k, block_q, facecolor=colour, edgecolor=LINE, linewidth=1.2))
        for i, j in torch.nonzero(touched & ~visible).tolist():
            axes.text(j + 0.5, i + 0.5, "×", ha="center", va="center", color=LINE, fontsize=8)
        _frame(axes, title, L, S)
        axes.set_xlabel(f"keys, {block_k} to a block")
        axes.set_ylabel(f"queries, {block_q} to a block")
    handles = [Rectangle((0, 0), 1, 1, facecolor=colour, edgecolor=LINE) for colour in (COMPUTED, MASKED, SKIPPED)]
    figure.legend(handles, ["computed", "computed and masked (×)", "skipped"], loc="outside lower center", ncols=3, frameon=False, labelcolor=INK)
    return figure


def _touched(reference: ModuleType, L: int, S: int, block_q: int, block_k: int) -> Tensor:
    """(L, S) bool: the tiles that a causal forward pass computes, found by NaN: a tile of keys that is NaN spoils the queries that read it."""
    touched = torch.zeros(L, S, dtype=torch.bool)
    for j in range(0, S, block_k):
        key = torch.ones(S, 2)
        value = torch.ones(S, 2)
        value[j : j + block_k] = math.nan
        output, _ = reference.flash_attention_forward(torch.ones(L, 2), key, value, True, None, block_q, block_k)
        touched[:, j : j + block_k] = output.isnan().any(-1, keepdim=True)
    return touched


def _frame(axes: Axes, title: str, L: int, S: int) -> None:
    axes.set(xlim=(0, S), ylim=(L, 0), aspect="equal")
    axes.set_xticks([j + 0.5 for j in range(0, S, 2)], [str(j) for j in range(0, S, 2)])
    axes.set_yticks([i + 0.5 for i in range(0, L, 2)], [str(i) for i in range(0, L, 2)])
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=10, color=INK)


def _memory(reference: ModuleType) -> Figure:
    """Largest tensor of the forward pass in numbers: measured for tiles, L * S for the whole matrix."""
    tiled = []
    for length in LENGTHS:
        inputs = torch.zeros(3, length, WIDTH)
        with watching() as cost:
            reference.flash_attention_forward(*inputs, False, None, BLOCK, BLOCK)
        tiled.append(cost.largest_tensor)
    figure = Figure(figsize=(6.4, 2.9), layout="constrained")
    axes = figure.subplots()
    axes.plot(LENGTHS, [length**2 for length in LENGTHS], color="#c2410c", marker="s", markersize=4, label="ordinary attention: the L × S scores")
    axes.plot(LENGTHS, tiled, color="#0b5cad", marker="o", markersize=4, label="tiles of 32 × 32: the output itself")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlabel(f"L = S, with D = {WIDTH}", color=INK)
    axes.set_ylabel("numbers in the largest tensor", color=INK)
    axes.grid(color="#e5e5e5")
    axes.legend(frameon=False, labelcolor=INK)
    return figure
