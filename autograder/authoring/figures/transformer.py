"""Figures of 06_transformer: who sees whom, the learning rate, and what label smoothing asks for."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SOURCE = ("der", "Hund", "bellt", "pad", "pad")
TARGET = ("bos", "the", "dog", "barks", "pad")
SCHEDULES = ((512, 4000, "#2171b5"), (512, 8000, "#d94801"), (1024, 4000, "#238b45"))
STYLE: Any = {
    "svg.hashsalt": "transformer",  # without one, every run gives other identifiers
    "font.size": 9,
    "figure.facecolor": "white",  # legible on a dark page too
}


def draw(folder: Path, reference: ModuleType) -> list[Path]:
    """Write masks.svg and training.svg into `folder`, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        for name, figure in (("masks.svg", _masks(reference)), ("training.svg", _training(reference))):
            figure.savefig(folder / name, dpi=120, metadata={"Date": None})
            written.append(folder / name)
    return written


def _masks(reference: ModuleType) -> Figure:
    """The three attentions of one pair of sentences, measured: a key that a query sees moves the query's result."""
    figure = Figure(figsize=(8.4, 3.1), layout="constrained")
    panels = figure.subplots(1, 3)
    titles = ("encoder: source sees source", "decoder: target sees target", "decoder: target sees memory")
    labels = ((SOURCE, SOURCE), (TARGET, TARGET), (TARGET, SOURCE))
    for axes, seen, title, (queries, keys) in zip(panels, who_sees_whom(reference), titles, labels, strict=True):
        axes.imshow(seen, cmap="Blues", vmin=0, vmax=1.6, interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.set_xticks(range(len(keys)), keys, rotation=45)
        axes.set_yticks(range(len(queries)), queries)
        axes.set_xticks([i - 0.5 for i in range(1, len(keys))], minor=True)
        axes.set_yticks([i - 0.5 for i in range(1, len(queries))], minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
        axes.tick_params(which="minor", length=0)
        axes.set_xlabel("key")
    panels[0].set_ylabel("query")
    return figure


def who_sees_whom(reference: ModuleType) -> tuple[Any, Any, Any]:
    """Three (queries, keys) tables of 0 and 1, from attention weights of the reference's own first layers."""
    tokens = {name: index for index, name in enumerate(dict.fromkeys(("pad", *TARGET, *SOURCE)))}
    src, tgt = (torch.tensor([[tokens[name] for name in side]]) for side in (SOURCE, TARGET))
    torch.default_generator.manual_seed(0)
    model = reference.Transformer(len(tokens), len(tokens), d_model=8, num_heads=2, num_layers=1, d_ff=8, dropout=0.0, pad_id=tokens["pad"])
    encoder, decoder = model.encoder_layers[0], model.decoder_layers[0]
    seen: list[Any] = []
    for attention in (encoder.self_attn, decoder.self_attn, decoder.multihead_attn):
        attention.register_forward_pre_hook(_listener(attention, seen), with_kwargs=True)
    model(src, tgt)
    return seen[0], seen[1], seen[2]


def _listener(attention: torch.nn.MultiheadAttention, seen: list[Any]) -> Any:
    """Ask the same attention for its weights, and note where they are not 0."""

    def note(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        _, weights = attention.forward(*args, **{**kwargs, "need_weights": True, "is_causal": False})
        assert weights is not None
        seen.append((weights[0] > 0).int().tolist())

    return note


def _training(reference: ModuleType) -> Figure:
    figure = Figure(figsize=(8.4, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_schedules(left, reference)
    _draw_loss(right, reference)
    return figure


def _draw_schedules(axes: Axes, reference: ModuleType) -> None:
    steps = range(0, 20_001, 50)
    for d_model, warmup, colour in SCHEDULES:
        rates = [1000 * reference.noam_learning_rate(step, d_model, warmup) for step in steps]
        axes.plot(steps, rates, color=colour, label=f"d_model {d_model}, warm-up {warmup}")
    axes.set(xlabel="step", ylabel="learning rate × 1000", xticks=(0, 4000, 8000, 16000), xlim=(0, 20_000), ylim=(0, None))
    axes.legend(fontsize=8, frameon=False)
    axes.set_title("the learning rate", fontsize=9)


def _draw_loss(axes: Axes, reference: ModuleType) -> None:
    """The loss of one target among ten classes, by how far its logit stands above the others, which are all 0."""
    margin = torch.linspace(0, 12, 121, dtype=torch.float64)
    logits = torch.nn.functional.pad(margin.view(-1, 1, 1), (0, 9))  # (121, 1, 10)
    for smoothing, colour in ((0.0, "#969696"), (0.1, "#2171b5"), (0.3, "#d94801")):
        losses = [float(reference.label_smoothed_loss(row.unsqueeze(0), torch.zeros(1, 1, dtype=torch.long), smoothing, -1)) for row in logits]
        axes.plot(margin.tolist(), losses, color=colour, label=f"smoothing {smoothing:g}")
        if smoothing:
            lowest = min(range(len(losses)), key=losses.__getitem__)
            axes.plot([float(margin[lowest])], [losses[lowest]], "o", color=colour)
    axes.set(xlabel="logit of the target above the nine others", ylabel="loss", xlim=(0, 12), ylim=(0, None))
    axes.legend(fontsize=8, frameon=False)
    axes.set_title("what the loss asks for", fontsize=9)
