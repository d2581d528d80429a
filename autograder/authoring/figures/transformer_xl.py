"""Figures of 10_transformer_xl: what the shift does to a row of distances, and how far back tokens can see with a memory."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

QUERIES, KEYS = 4, 7
TOKENS, SEGMENT = 16, 4
# Title, layers and mem_len of each panel.
MODELS = (("no memory, 3 layers", 3, 0), ("memory of 4, 1 layer", 1, 4), ("memory of 4, 2 layers", 2, 4), ("memory of 4, 3 layers", 3, 4))
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "transformer_xl",  # without one, every run gives other identifiers
    "font.size": 9,
    "figure.facecolor": "white",  # legible on a dark page too
}


def draw(folder: Path, reference: ModuleType) -> list[Path]:
    """Write shift.svg and reach.svg into `folder`, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        for name, figure in (("shift.svg", _shift(reference)), ("reach.svg", _reach(reference))):
            figure.savefig(folder / name, dpi=120, metadata={"Date": None})
            written.append(folder / name)
    return written


def _shift(reference: ModuleType) -> Figure:
    by_distance = torch.arange(KEYS - 1, -1, -1, dtype=torch.float64).expand(QUERIES, KEYS)
    future = torch.ones(QUERIES, KEYS, dtype=torch.bool).triu(1 + KEYS - QUERIES)
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _label_distances(left, by_distance, torch.zeros_like(future))
    left.set(title="before: a column is a distance", xlabel="column", ylabel="query")
    _label_distances(right, reference.relative_shift(by_distance), future)
    right.axvline(KEYS - QUERIES - 0.5, color="tab:red", linewidth=1.5)
    right.set(title="after: a column is a key", xlabel="key (memory left of the line, segment right of it)")
    return figure


def _label_distances(axes: Axes, distances: Tensor, future: Tensor) -> None:
    shown = distances.masked_fill(future, float("nan"))
    axes.imshow(shown.numpy(), cmap="Blues_r", vmin=-4, vmax=KEYS + 1, interpolation="nearest")
    axes.set(xticks=range(KEYS), yticks=range(QUERIES))
    for query in range(QUERIES):
        for column in range(KEYS):
            label = "" if future[query, column] else f"{int(distances[query, column])}"
            axes.text(column, query, label, ha="center", va="center", color="black" if distances[query, column] > 1 else "white")


def _reach(reference: ModuleType) -> Figure:
    figure = Figure(figsize=(8.8, 2.7), layout="constrained")
    for axes, (title, num_layers, mem_len) in zip(figure.subplots(1, len(MODELS), sharey=True), MODELS, strict=True):
        axes.imshow(_seen(reference, num_layers, mem_len).numpy(), cmap="Blues", vmin=0, vmax=1.4, interpolation="nearest")
        for cut in range(SEGMENT, TOKENS, SEGMENT):
            axes.axvline(cut - 0.5, color="0.6", linewidth=0.6)
            axes.axhline(cut - 0.5, color="0.6", linewidth=0.6)
        ticks = range(0, TOKENS, SEGMENT)
        axes.set(xlabel="token seen", xticks=ticks, yticks=ticks)
        axes.set_title(title, fontsize=9)
    figure.axes[0].set_ylabel("token that sees")
    return figure


def _seen(reference: ModuleType, num_layers: int, mem_len: int) -> Tensor:
    """(TOKENS, TOKENS): 1 where the logits at a row's token change with a column's token."""
    generator = torch.Generator().manual_seed(0)
    model = reference.TransformerXL(TOKENS, 8, 2, 8, num_layers, mem_len).to(torch.float64)
    state = {name: torch.randn(value.shape, generator=generator, dtype=torch.float64) / 2 for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    token_ids = torch.arange(TOKENS).unsqueeze(0)
    plain = _logits(model, token_ids)
    columns = []
    for position in range(TOKENS):
        changed = token_ids.clone()
        changed[0, position] = (position + 5) % TOKENS
        columns.append((_logits(model, changed) - plain).abs().amax(dim=-1) > 1e-12)
    return torch.stack(columns, dim=1).double()


def _logits(model: torch.nn.Module, token_ids: Tensor) -> Tensor:
    logits, memories = [], None
    with torch.no_grad():
        for segment in token_ids.split(SEGMENT, dim=1):
            found, memories = model(segment, memories)
            logits.append(found[0])
    return torch.cat(logits)
