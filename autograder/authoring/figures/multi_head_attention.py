"""Figures of 03_multi_head_attention: heads side by side, and which features each of them gets."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from torch import Tensor

LENGTH, HEAD_DIM = 12, 8
# What each head looks for: an offset from the query's own position, and how sharply.
HEADS = (("itself", 0, 6.0), ("one back", -1, 6.0), ("four back", -4, 6.0), ("around", 0, 1.2))
COLOURS = ("#9ecae1", "#fdd0a2", "#a1d99b")  # light enough for black numbers
STYLE: Any = {
    "svg.hashsalt": "multi_head_attention",  # without one, every run gives other identifiers
    "font.size": 9,
    "figure.facecolor": "white",  # legible on a dark page too
}


def draw(folder: Path, reference: ModuleType) -> list[Path]:
    """Write heads.svg and split.svg into `folder`, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        for name, figure in (("heads.svg", _heads(reference)), ("split.svg", _split())):
            figure.savefig(folder / name, dpi=120, metadata={"Date": None})
            written.append(folder / name)
    return written


def _heads(reference: ModuleType) -> Figure:
    """Attention weights of four heads, without a mask and with a causal one."""
    module, x = _module_with_tasks(reference)
    causal = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
    figure = Figure(figsize=(8.4, 4.5), layout="constrained")
    rows = figure.subplots(2, len(HEADS), sharex=True, sharey=True)
    for row, mask, label in zip(rows, (None, causal), ("no mask", "later keys hidden"), strict=True):
        with torch.no_grad():
            _, weights = module(x, x, x, mask)  # (1, H, L, L)
        for axes, head in zip(row, weights[0], strict=True):
            image = axes.imshow(head.numpy(), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
            axes.set(xticks=(0, 5, 10), yticks=(0, 5, 10))
        row[0].set_ylabel(f"{label}\nquery")
    for head, (axes, (task, _, _)) in enumerate(zip(rows[0], HEADS, strict=True)):
        axes.set_title(f"head {head}: {task}", fontsize=9)
    for axes in rows[1]:
        axes.set_xlabel("key")
    figure.colorbar(image, ax=rows, ticks=[0, 0.5, 1], label="weight", shrink=0.6)
    return figure


def _module_with_tasks(reference: ModuleType) -> tuple[torch.nn.Module, Tensor]:
    """Attention over waves of the position, whose heads turn the query to the position that they look for."""
    num_heads = len(HEADS)
    d_model = num_heads * HEAD_DIM
    frequency = 2 * math.pi * torch.arange(1, HEAD_DIM // 2 + 1, dtype=torch.float64) / (LENGTH + HEAD_DIM)
    waves = _waves(torch.arange(LENGTH), frequency)
    x = torch.nn.functional.pad(waves, (0, d_model - HEAD_DIM)).unsqueeze(0)
    query, key = torch.zeros(d_model, d_model, dtype=torch.float64), torch.zeros(d_model, d_model, dtype=torch.float64)
    for head, (_, offset, sharpness) in enumerate(HEADS):
        rows = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
        query[rows, :HEAD_DIM] = sharpness * _rotation(offset * frequency)
        key[rows, :HEAD_DIM] = torch.eye(HEAD_DIM, dtype=torch.float64)
    module = reference.MultiHeadAttention(d_model, num_heads, bias=False).to(torch.float64)
    identity = torch.eye(d_model, dtype=torch.float64)
    module.load_state_dict({"w_q.weight": query, "w_k.weight": key, "w_v.weight": identity, "w_o.weight": identity})
    return module, x


def _waves(position: Tensor, frequency: Tensor) -> Tensor:
    """(length, 2 * frequencies): all sines, then all cosines."""
    angle = position.double().unsqueeze(1) * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _rotation(angle: Tensor) -> Tensor:
    """The matrix that moves the waves of one position to those of another, `angle` radians on."""
    sine, cosine = torch.diag(angle.sin()), torch.diag(angle.cos())
    return torch.cat([torch.cat([cosine, sine], dim=1), torch.cat([-sine, cosine], dim=1)])


def _split() -> Figure:
    """One projected sequence as numbered features, its heads, and what a bare reshape makes of it."""
    num_heads, length, head_dim = 3, 4, 2
    projected = torch.arange(length * num_heads * head_dim).reshape(length, num_heads * head_dim)
    right = projected.reshape(length, num_heads, head_dim).transpose(0, 1)
    wrong = projected.reshape(num_heads, length, head_dim)
    figure = Figure(figsize=(8.4, 2.1), layout=ConstrainedLayoutEngine(wspace=0.08))
    axes = figure.subplots(1, 3, width_ratios=(6, 8, 8))
    _draw_numbers(axes[0], projected, 0)
    for head in range(num_heads):
        _draw_numbers(axes[1], right[head], head * (head_dim + 1))
        _draw_numbers(axes[2], wrong[head], head * (head_dim + 1))
        for panel in axes[1:]:
            panel.text(head * (head_dim + 1) + head_dim / 2, -0.25, f"head {head}", ha="center")
    titles = ("projected, (L, E) = (4, 6)", "split: (H, L, D) = (3, 4, 2)", "only reshaped to (3, 4, 2): mixed up")
    for panel, title in zip(axes, titles, strict=True):
        panel.set_title(title, pad=14, fontsize=9)
        panel.set(aspect="equal", xticks=[], yticks=[], ylim=(length, -0.6))
        panel.set_xlim(-0.1, 6.1 if panel is axes[0] else 8.1)
        panel.spines[:].set_visible(False)
    axes[0].set_ylabel("one row per position")
    return figure


def _draw_numbers(axes: Axes, matrix: Tensor, left: int) -> None:
    """Cells with the number of each feature, coloured by the head that it belongs to."""
    for row, numbers in enumerate(matrix.tolist()):
        for column, number in enumerate(numbers):
            head = number % 6 // 2
            axes.add_patch(Rectangle((left + column, row), 1, 1, facecolor=COLOURS[head], edgecolor="white"))
            axes.text(left + column + 0.5, row + 0.5, str(number), ha="center", va="center", color="black")
