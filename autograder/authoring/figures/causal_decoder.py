"""Figures of 05_causal_decoder: what each position depends on, and the two orders of norms and residual connections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

LENGTH, MEMORY_LENGTH, D_MODEL, NUM_HEADS = 10, 7, 16, 4
LEFT_PADDING, MEMORY_PADDING = 3, 2
GREY, BLUE = "#e4e4e4", "#4292c6"
COLOURS = {"norm": "#fdd0a2", "attention": "#9ecae1", "feed": "#a1d99b", "sum": "#ffffff"}
STYLE: Any = {
    "svg.hashsalt": "causal_decoder",  # without one, every run gives other identifiers
    "font.size": 9,
    "figure.facecolor": "white",  # legible on a dark page too
}


def draw(folder: Path, reference: ModuleType) -> list[Path]:
    """Write sees.svg and orders.svg into `folder`, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        for name, figure in (("sees.svg", _sees(reference)), ("orders.svg", _orders())):
            figure.savefig(folder / name, dpi=120, metadata={"Date": None})
            written.append(folder / name)
    return written


def dependence(reference: ModuleType) -> dict[str, Tensor]:
    """For each panel, (L, S) bool: whether output i has a gradient with respect to input j that is not exactly 0."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(1, LENGTH, D_MODEL, generator=generator, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(1, MEMORY_LENGTH, D_MODEL, generator=generator, dtype=torch.float64, requires_grad=True)
    alone = [_block(reference, generator, cross_attention=False) for _ in range(3)]
    beside = _block(reference, generator, cross_attention=True)
    padding_mask = torch.arange(LENGTH).unsqueeze(0) < LEFT_PADDING
    memory_padding_mask = torch.arange(MEMORY_LENGTH).unsqueeze(0) >= MEMORY_LENGTH - MEMORY_PADDING
    return {
        "one block": _has_gradient(alone[0](x), x),
        "three blocks": _has_gradient(alone[2](alone[1](alone[0](x))), x),
        f"{LEFT_PADDING} are padding": _has_gradient(alone[0](x, padding_mask=padding_mask), x),
        f"memory, {MEMORY_PADDING} are padding": _has_gradient(beside(x, memory, memory_padding_mask=memory_padding_mask), memory),
    }


def _block(reference: ModuleType, generator: torch.Generator, *, cross_attention: bool) -> torch.nn.Module:
    block: torch.nn.Module = reference.DecoderBlock(D_MODEL, NUM_HEADS, 2 * D_MODEL, cross_attention=cross_attention).to(torch.float64)
    state = block.state_dict()
    block.load_state_dict({name: torch.randn(value.shape, generator=generator, dtype=torch.float64) / 3 for name, value in state.items()})
    return block


def _has_gradient(output: Tensor, source: Tensor) -> Tensor:
    rows = [torch.autograd.grad(output[0, i, 0], source, retain_graph=True)[0][0] for i in range(output.size(1))]
    return torch.stack([row.abs().sum(dim=-1) > 0 for row in rows])


def _sees(reference: ModuleType) -> Figure:
    maps = dependence(reference)
    figure = Figure(figsize=(8.4, 2.7), layout="constrained")
    panels = figure.subplots(1, len(maps), sharey=True, width_ratios=[depends.size(1) for depends in maps.values()])
    for panel, (title, depends) in zip(panels, maps.items(), strict=True):
        rows, columns = depends.shape
        panel.imshow(depends.int().numpy(), cmap=ListedColormap([GREY, BLUE]), vmin=0, vmax=1, interpolation="nearest")
        panel.hlines([i - 0.5 for i in range(1, rows)], -0.5, columns - 0.5, colors="white", linewidth=1)
        panel.vlines([j - 0.5 for j in range(1, columns)], -0.5, rows - 0.5, colors="white", linewidth=1)
        panel.set(xticks=range(0, columns, 3), yticks=range(0, rows, 3))
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("position of memory" if "memory" in title else "position of x")
    panels[0].set_ylabel("position of the output")
    return figure


def _orders() -> Figure:
    """Both orders as columns of boxes, from x at the bottom to the output at the top."""
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = (("self-attention, causal", "attention", 1), ("attention to the memory", "attention", 2), ("feed-forward network", "feed", 3))
    _stack(left, "post-norm", [[(name, kind), ("+", "sum"), (f"norm{number}", "norm")] for name, kind, number in steps])
    _stack(right, "norm_first", [[(f"norm{number}", "norm"), (name, kind), ("+", "sum")] for name, kind, number in steps])
    return figure


def _stack(axes: Axes, title: str, steps: Sequence[Sequence[tuple[str, str]]]) -> None:
    height = 0.0
    axes.text(0, height, "x", ha="center", va="center")
    for step in steps:
        start = height + 0.5  # where the residual connection leaves
        for text, kind in step:
            axes.annotate("", (0, height + 0.72), (0, height + 0.25), arrowprops={"arrowstyle": "->"})
            height += 1
            _box(axes, height, text, kind)
            if text == "+":
                axes.plot([0, 1.75, 1.75], [start, start, height], color="black", linewidth=1)
                axes.annotate("", (0.3, height), (1.76, height), arrowprops={"arrowstyle": "->"})
            if "memory" in text:
                axes.text(-2.0, height, "memory", ha="right", va="center")
                axes.annotate("", (-1.4, height), (-1.95, height), arrowprops={"arrowstyle": "->"})
    axes.annotate("", (0, height + 0.72), (0, height + 0.25), arrowprops={"arrowstyle": "->"})
    axes.text(0, height + 1, "output", ha="center", va="center")
    axes.set(xlim=(-3.2, 2.1), ylim=(-0.4, height + 1.3), title=title)
    axes.set_axis_off()


def _box(axes: Axes, height: float, text: str, kind: str) -> None:
    half = 0.2 if text == "+" else 1.3
    style = "circle,pad=0.05" if text == "+" else "round,pad=0.05"
    axes.add_patch(FancyBboxPatch((-half, height - 0.2), 2 * half, 0.4, boxstyle=style, facecolor=COLOURS[kind], edgecolor="black", linewidth=0.8))
    axes.text(0, height - 0.02, text, ha="center", va="center", color="black", fontsize=8)
