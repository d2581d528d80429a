"""Figures of 02_positional_encoding: the table as a heat map, and what its rows have in common."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

POSITIONS, D_MODEL, CENTRE = 64, 32, 32
WAVES = (0, 8, 12, 16)  # columns: sines of four frequencies
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "positional_encoding",  # without one, every run gives other identifiers
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",  # legible on a dark page too
}


def draw(folder: Path, reference: ModuleType) -> list[Path]:
    """Write table.svg and waves.svg into `folder`, the same bytes each time."""
    table = reference.sinusoidal_encoding(POSITIONS, D_MODEL)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        for name, figure in (("table.svg", _heat_map(table)), ("waves.svg", _waves(table))):
            figure.savefig(folder / name, dpi=120, metadata={"Date": None})
            written.append(folder / name)
    return written


def _heat_map(table: Tensor) -> Figure:
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(table.numpy(), aspect="auto", cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest")
    axes.set(xlabel="column (even: sine, odd: cosine)", ylabel="position", xticks=range(0, D_MODEL, 4), yticks=range(0, POSITIONS, 8))
    axes.set_title(f"sinusoidal_encoding({POSITIONS}, {D_MODEL})")
    figure.colorbar(image, ax=axes, ticks=[-1, 0, 1])
    return figure


def _waves(table: Tensor) -> Figure:
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_columns(left, table)
    products = table.matmul(table[CENTRE]).round(decimals=6)  # the last digits differ from processor to processor
    right.plot(products.numpy(), color="tab:purple")
    right.axvline(CENTRE, color="0.7", linewidth=0.8, zorder=0)
    right.set(title=f"inner product with row {CENTRE}", xlabel="position", xticks=range(0, POSITIONS + 1, 16))
    return figure


def _draw_columns(axes: Axes, table: Tensor) -> None:
    for column in WAVES:
        axes.plot(table[:, column].numpy(), label=f"column {column}", linewidth=1.2)
    axes.set(title="waves that slow down", xlabel="position", xticks=range(0, POSITIONS + 1, 16), yticks=[-1, 0, 1], ylim=(-1.1, 1.6))
    axes.legend(ncols=2, loc="upper center", frameon=False, fontsize=8)
