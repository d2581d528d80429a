"""Figures of the handout 01_attention, drawn from the reference solution: weights under masks, the masks, the scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from torch import Tensor

TOKENS = ("the", "cat", "saw", "the", "cat", "<pad>", "<pad>")
TOKEN_IDS = torch.tensor([[1, 2, 3, 1, 2, 0, 0]])
WEIGHTS = LinearSegmentedColormap.from_list("weights", ["#ffffff", "#7fb2e5", "#0b3c6f"])
HIDDEN = "#c9c9c9"
INK = "#1f2328"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "attention",  # without one, every run gives other identifiers
    "svg.fonttype": "none",  # text as text: a third of the size
    "figure.facecolor": "white",  # legible on a dark page too
}


def draw(folder: Path, reference: ModuleType) -> list[Path]:
    """Write attention_weights.svg, masks.svg and scale.svg into `folder`, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        for name, make in (("attention_weights.svg", _attention_weights), ("masks.svg", _masks), ("scale.svg", _scale)):
            make(reference).savefig(folder / name, metadata={"Date": None})
            written.append(folder / name)
    return written


def _attention_weights(reference: ModuleType) -> Figure:
    vectors = torch.randn(4, 8, generator=torch.Generator().manual_seed(7))[TOKEN_IDS][:, None]  # (1, 1, 7, 8)
    padding, causal = reference.padding_mask(TOKEN_IDS, 0), reference.causal_mask(len(TOKENS))
    panels = (
        ("no mask", None),
        ("padding", reference.combine_masks(padding)),
        ("causal", reference.combine_masks(causal=causal)),
        ("padding and causal", reference.combine_masks(padding, causal)),
    )
    figure = Figure(figsize=(11, 3.3), layout="constrained")
    for axes, (title, mask) in zip(figure.subplots(1, len(panels), sharey=True), panels, strict=True):
        _, weights = reference.scaled_dot_product_attention(vectors, vectors, vectors, mask)
        hidden = torch.zeros(len(TOKENS), len(TOKENS), dtype=torch.bool) if mask is None else mask.expand(weights.shape)[0, 0]
        _cells(axes, weights[0, 0], hidden, TOKENS, TOKENS, numbers=True)
        axes.set_title(title, fontsize=11, color=INK)
        axes.set_xlabel("key", color=INK)
    figure.axes[0].set_ylabel("query", color=INK)
    return figure


def _masks(reference: ModuleType) -> Figure:
    token_ids = torch.tensor([[4, 8, 5, 0, 0], [7, 3, 9, 6, 2]])
    padding = reference.padding_mask(token_ids, 0)
    combined = reference.combine_masks(padding, reference.causal_mask(5))
    positions = [str(position) for position in range(5)]
    panels = (
        ("padding_mask\n(B, S) = (2, 5)", padding, ["sequence 0", "sequence 1"]),
        ("causal_mask(5)\n(L, S) = (5, 5)", reference.causal_mask(5), positions),
        ("causal_mask(2, 5)\n(L, S) = (2, 5)", reference.causal_mask(2, 5), ["0", "1"]),
        ("causal_mask(5, 2)\n(L, S) = (5, 2)", reference.causal_mask(5, 2), positions),
        ("combined, sequence 0\nof (B, 1, L, S)", combined[0, 0], positions),
    )
    figure = Figure(figsize=(11, 2.7), layout="constrained")
    for axes, (title, mask, rows) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        _cells(axes, torch.zeros(mask.shape), mask, rows, positions[: mask.size(1)], numbers=False)
        axes.set_title(title, fontsize=9.5, color=INK)
        axes.set_xlabel("key", color=INK)
        axes.set_ylabel("" if rows[0].startswith("sequence") else "query", color=INK)
    return figure


def _scale(reference: ModuleType) -> Figure:
    widths = [2**power for power in range(1, 11)]
    generator = torch.Generator().manual_seed(1)
    scaled: list[float] = []
    raw: list[float] = []
    for width in widths:
        query, key = (torch.randn(256, length, width, generator=generator, dtype=torch.float64) for length in (1, 32))
        value = torch.zeros(256, 32, 1, dtype=torch.float64)
        for means, factor in ((scaled, 1.0), (raw, math.sqrt(width))):
            _, weights = reference.scaled_dot_product_attention(query * factor, key, value)
            means.append(float(weights.amax(-1).mean()))
    figure = Figure(figsize=(6.4, 2.9), layout="constrained")
    axes = figure.subplots()
    axes.plot(widths, raw, color="#c2410c", marker="s", markersize=4, label="softmax(QKᵀ)")
    axes.plot(widths, scaled, color="#0b5cad", marker="o", markersize=4, label="softmax(QKᵀ / √D)")
    axes.set_xscale("log", base=2)
    axes.set_ylim(0, 1)
    axes.set_xlabel("D, features of a query", color=INK)
    axes.set_ylabel("largest of 32 weights", color=INK)
    axes.grid(color="#e5e5e5")
    axes.legend(frameon=False, labelcolor=INK)
    return figure


def _cells(axes: Axes, weights: Tensor, hidden: Tensor, rows: Sequence[str], columns: Sequence[str], *, numbers: bool) -> None:
    """A cell for each weight; hidden ones grey, with a cross when there are no numbers to show."""
    colours = WEIGHTS(weights.numpy())
    colours[hidden.numpy()] = to_rgba(HIDDEN)
    axes.imshow(colours, extent=(0, len(columns), len(rows), 0), interpolation="nearest")
    axes.hlines(range(1, len(rows)), 0, len(columns), color="#8c959f", linewidth=0.5)
    axes.vlines(range(1, len(columns)), 0, len(rows), color="#8c959f", linewidth=0.5)
    if not numbers:
        for row, column in torch.nonzero(hidden).tolist():
            axes.text(column + 0.5, row + 0.5, "×", ha="center", va="center", color=INK, fontsize=11)
    if numbers:
        for row, column in torch.nonzero(~hidden).tolist():
            weight = float(weights[row, column])
            ink = "white" if weight > 0.5 else INK
            axes.text(column + 0.5, row + 0.5, f"{weight:.2f}".lstrip("0"), ha="center", va="center", color=ink, fontsize=7)
    axes.set_xticks([column + 0.5 for column in range(len(columns))], columns, rotation=45 if len(columns[0]) > 1 else 0, color=INK)
    axes.set_yticks([row + 0.5 for row in range(len(rows))], rows, color=INK)
    axes.tick_params(length=0, labelsize=8.5)
