"""Figures of 08_rope: pairs that turn, which features are pairs, and scores that depend on the distance alone."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

WIDTH, BASE, PLACES = 6, 100.0, 7  # of the turning pairs
LENGTH, HEAD_DIM, AWAY = 32, 16, 1000  # of the scores
COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:purple")
PLAIN = "0.85"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "rope",  # without one, every run gives other identifiers
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",  # legible on a dark page too
}


def draw(folder: Path, reference: ModuleType) -> list[Path]:
    """Write turning.svg, layouts.svg and scores.svg into `folder`, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        for name, figure in (("turning.svg", _turning(reference)), ("layouts.svg", _layouts(reference)), ("scores.svg", _scores(reference))):
            figure.savefig(folder / name, dpi=120, metadata={"Date": None})
            written.append(folder / name)
    return written


def _turning(reference: ModuleType) -> Figure:
    figure = Figure(figsize=(7.2, 2.7), layout="constrained")
    vector = torch.tensor([1.0, 0.0], dtype=torch.float64).repeat(PLACES, WIDTH // 2)
    turned = reference.apply_rotary(vector, torch.arange(PLACES), base=BASE)  # (PLACES, WIDTH)
    frequencies = reference.rotary_frequencies(WIDTH, BASE)
    for pair, axes in enumerate(figure.subplots(1, WIDTH // 2)):
        axes.add_patch(Circle((0, 0), 1, fill=False, color="0.8"))
        for position in range(PLACES):
            x, y = turned[position, 2 * pair : 2 * pair + 2].tolist()
            axes.plot([0, x], [0, y], color=COLOURS[pair], alpha=0.3 + 0.7 * position / PLACES, linewidth=1.4)
            # Arrows that lie close together are numbered at the first and the last.
            if float(frequencies[pair]) > 0.1 or position in (0, PLACES - 1):
                axes.text(1.17 * x, 1.17 * y, str(position), ha="center", va="center", fontsize=8)
        axes.set_title(f"pair {pair}: {float(frequencies[pair]):.3g} rad a step")
        axes.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), aspect="equal")
        axes.set_axis_off()
    return figure


def _layouts(reference: ModuleType) -> Figure:
    figure = Figure(figsize=(7.2, 2.3), layout="constrained")
    axes = figure.subplots()
    rows: tuple[tuple[str, dict[str, Any]], ...] = (
        ('layout="interleaved"', {}),
        ('layout="half"', {"layout": "half"}),
        ('layout="half", rotary_dim=4', {"layout": "half", "rotary_dim": 4}),
    )
    for row, (title, options) in enumerate(rows):
        pairs = _pairs(reference, 8, options)
        axes.text(-0.3, -row, title, ha="right", va="center")
        for feature in range(8):
            axes.add_patch(Rectangle((feature, -row - 0.35), 0.94, 0.7, color=COLOURS[pairs[feature]] if feature in pairs else PLAIN))
            axes.text(feature + 0.47, -row, str(feature), ha="center", va="center", color="white" if feature in pairs else "black")
    axes.set_title("Features of one colour are a pair; grey ones stay as they are")
    axes.set(xlim=(-4.2, 8.1), ylim=(-2.5, 0.5))
    axes.set_axis_off()
    return figure


def _pairs(reference: ModuleType, width: int, options: dict[str, Any]) -> dict[int, int]:
    """The pair of each feature that turns, found by turning unit vectors."""
    basis = torch.eye(width, dtype=torch.float64)
    turned = reference.apply_rotary(basis, torch.ones(width, dtype=torch.int64), **options)
    groups = [frozenset(row.abs().gt(1e-9).nonzero().flatten().tolist()) for row in turned]
    order = sorted({group for group in groups if len(group) == 2}, key=min)
    return {feature: number for number, group in enumerate(order) for feature in group}


def _scores(reference: ModuleType) -> Figure:
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    vector = torch.ones(LENGTH, HEAD_DIM, dtype=torch.float64) / math.sqrt(HEAD_DIM)
    near, far = (reference.apply_rotary(vector, torch.arange(LENGTH) + start) for start in (0, AWAY))
    # Rounded, since the last digits differ from processor to processor.
    image = left.imshow((near @ near.T).round(decimals=6).numpy(), cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest")
    left.set(title="query · key, the same vector everywhere", xlabel="position of the key", ylabel="position of the query")
    left.set(xticks=range(0, LENGTH, 8), yticks=range(0, LENGTH, 8))
    figure.colorbar(image, ax=left, ticks=[-1, 0, 1])
    _curves(right, (near @ near[0]).round(decimals=6).tolist(), (far @ far[0]).round(decimals=6).tolist())
    return figure


def _curves(axes: Axes, near: list[float], far: list[float]) -> None:
    axes.plot(near, color="tab:blue", linewidth=3, alpha=0.5, label="query at position 0")
    axes.plot(far, color="black", linewidth=1, linestyle="dashed", label=f"query at position {AWAY}")
    axes.set(title="by distance", xlabel="key's position − query's position", xticks=range(0, LENGTH + 1, 8), ylim=(-0.15, 1.3))
    axes.legend(loc="upper right", frameon=False, fontsize=8)
