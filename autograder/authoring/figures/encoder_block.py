"""Figures of 04_encoder_block: the two orders of a block, what eps does, and how features grow through a stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch
from torch import Tensor

NUM_LAYERS, D_MODEL = 12, 32
INK, POST, PRE = "#333333", "#d95f02", "#1f77b4"
SUB_LAYER, NORM = "#c6dbef", "#fdd0a2"
STYLE: Any = {
    "svg.hashsalt": "encoder_block",  # without one, every run gives other identifiers
    "font.size": 9,
    "figure.facecolor": "white",  # legible on a dark page too
}


def draw(folder: Path, reference: ModuleType) -> list[Path]:
    """Write orders.svg, eps.svg and depth.svg into `folder`, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        for name, figure in (("orders.svg", _orders()), ("eps.svg", _eps(reference)), ("depth.svg", _depth(reference))):
            figure.savefig(folder / name, dpi=120, metadata={"Date": None})
            written.append(folder / name)
    return written


def _orders() -> Figure:
    """Both orders side by side, from x on the left to the output on the right."""
    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    post, pre = figure.subplots(2, 1)
    for axes, title in ((post, "post-norm, the paper's"), (pre, "norm_first")):
        axes.set(xlim=(-0.8, 14.2), ylim=(-0.75, 2.3), aspect="equal", xticks=[], yticks=[])
        axes.set_title(title, fontsize=9, loc="left")
        axes.spines[:].set_visible(False)
    _draw_order(post, norm_first=False)
    _draw_order(pre, norm_first=True)
    return figure


def _draw_order(axes: Axes, *, norm_first: bool) -> None:
    axes.annotate("", xy=(12.95, 0), xytext=(0, 0), arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 2.5, "shrinkA": 0, "shrinkB": 0})
    axes.text(-0.2, 0, "x", ha="right", va="center", fontsize=11)
    axes.text(13.05, 0, "output", ha="left", va="center")
    for start, number, name in ((0.5, 1, "self-attention"), (6.6, 2, "feed-forward")):
        boxes = [(name, SUB_LAYER, 2.2), (f"dropout{number}", "white", 1.4)]
        if norm_first:
            boxes.insert(0, (f"norm{number}", NORM, 1.0))
        end = start + 4.4
        _branch(axes, start, end if not norm_first else end + 1.0, boxes)
        if not norm_first:
            _box(axes, end + 0.35, 0, 1.0, f"norm{number}", NORM)


def _branch(axes: Axes, start: float, end: float, boxes: Sequence[tuple[str, str, float]]) -> None:
    """Leave the way around at `start`, pass through the boxes, come back to it at `end`."""
    height = 1.5
    line = {"color": INK, "linewidth": 1.0}
    axes.plot([start, start, end, end], [0, height, height, 0.22], **line)  # type: ignore[arg-type]
    axes.annotate("", xy=(end, 0.18), xytext=(end, 0.6), arrowprops={"arrowstyle": "-|>", **line})
    free = (end - start - sum(width for _, _, width in boxes)) / (len(boxes) + 1)
    left = start + free
    for text, colour, width in boxes:
        _box(axes, left, height, width, text, colour)
        left += width + free
    axes.add_patch(Circle((end, 0), 0.2, facecolor="white", edgecolor=INK, zorder=3))
    axes.text(end, -0.02, "+", ha="center", va="center", fontsize=11, zorder=4)


def _box(axes: Axes, left: float, middle: float, width: float, text: str, colour: str) -> None:
    box = FancyBboxPatch((left, middle - 0.32), width, 0.64, boxstyle="round,pad=0,rounding_size=0.12", facecolor=colour, edgecolor=INK, zorder=3)
    axes.add_patch(box)
    axes.text(left + width / 2, middle - 0.02, text, ha="center", va="center", fontsize=8, zorder=4)


def _eps(reference: ModuleType) -> Figure:
    """Standard deviation of the result for features of a given standard deviation s."""
    spread = torch.logspace(-5, 1, 121, dtype=torch.float64)
    features = torch.tensor([1.0, -1.0], dtype=torch.float64)  # standard deviation 1
    norm = reference.LayerNorm(2).to(torch.float64)
    with torch.no_grad():
        result = norm(spread.unsqueeze(1) * features)[:, 0]
    figure = Figure(figsize=(6.0, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(spread, result, color=PRE, linewidth=2, label="inside the root: s / √(s² + ε)")
    axes.plot(spread, spread / (spread + norm.eps), color=POST, linestyle="--", label="outside: s / (s + ε)")
    axes.axhline(1, color="grey", linewidth=0.8, linestyle=":", label="no ε")
    axes.set(xscale="log", xlabel="standard deviation s of the input", ylabel="that of the output", ylim=(0, 1.1))
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    return figure


def _depth(reference: ModuleType) -> Figure:
    """Standard deviation of all features after each block of a stack with weights as they are at the start of training."""
    figure = Figure(figsize=(6.0, 2.8), layout="constrained")
    axes = figure.subplots()
    for norm_first, colour, label in ((False, POST, "post-norm"), (True, PRE, "norm_first")):
        encoder, x = _drawn_encoder(reference, norm_first)
        with torch.no_grad():
            spreads = [float(x.std())]
            for layer in encoder.layers:
                x = layer(x)
                spreads.append(float(x.std()))
            axes.plot(range(NUM_LAYERS + 1), spreads, color=colour, marker="o", markersize=4, label=label)
            if encoder.norm is not None:
                last = [spreads[-1], float(encoder.norm(x).std())]
                axes.plot([NUM_LAYERS, NUM_LAYERS + 1], last, color=colour, marker="s", markersize=5, linestyle=":", label="… and its final norm")
    axes.set(xlabel="blocks passed", ylabel="standard deviation of features", ylim=(0, None), xticks=range(0, NUM_LAYERS + 2, 2))
    axes.legend(frameon=False, fontsize=8)
    return figure


def _drawn_encoder(reference: ModuleType, norm_first: bool) -> tuple[Any, Tensor]:
    """A stack with random matrices, norms with weight 1, biases 0; and a batch of random features."""
    generator = torch.Generator().manual_seed(4)
    encoder = reference.Encoder(NUM_LAYERS, D_MODEL, 4, 4 * D_MODEL, norm_first=norm_first).to(torch.float64)
    state = encoder.state_dict()
    for name, value in state.items():
        if value.dim() == 2:
            state[name] = torch.randn(value.shape, generator=generator, dtype=torch.float64) / value.size(1) ** 0.5
        elif "bias" in name:
            state[name] = torch.zeros_like(value)
    encoder.load_state_dict(state)
    return encoder, torch.randn(8, 16, D_MODEL, generator=generator, dtype=torch.float64)
