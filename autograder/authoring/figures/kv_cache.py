"""Figures of 07_kv_cache: what a chunk sees after stored positions, and what each new token costs with and without caches."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from autograder.checking.measurement import watching

STORED, CHUNK = 4, 3
PROMPT, TOKENS = 16, 112  # the model generates this many after a prompt of 16
VISIBLE = ListedColormap(["#e4e4e4", "#2a6fb0"])
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "kv_cache",  # without one, every run gives other identifiers
    "svg.fonttype": "none",  # text as text: a third of the size
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",  # legible on a dark page too
}


def draw(folder: Path, reference: ModuleType) -> list[Path]:
    """Write chunk_mask.svg and cost.svg into `folder`, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        for name, make in (("chunk_mask.svg", _chunk_mask), ("cost.svg", _cost)):
            make(reference).savefig(folder / name, metadata={"Date": None})
            written.append(folder / name)
    return written


def seen_by_chunk(reference: ModuleType, stored: int = STORED, length: int = CHUNK) -> Tensor:
    """(L, S) bool: which positions each query of the chunk depends on, found by changing them one by one."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        attention = reference.CachedSelfAttention(8, 2).double()
        x = torch.randn(1, stored + length, 8, dtype=torch.float64)

    def outputs(x: Tensor) -> Tensor:
        cache = reference.KVCache(1, 2, stored + length, 4, dtype=torch.float64)
        attention(x[:, :stored], cache)
        result: Tensor = attention(x[:, stored:], cache)[0]
        return result

    with torch.no_grad():
        before = outputs(x)
        moved = []
        for position in range(stored + length):
            other = x.clone()
            other[:, position] += 1
            moved.append((outputs(other) - before).abs().amax(dim=-1) > 0)
    return torch.stack(moved, dim=1)


def step_costs(reference: ModuleType) -> tuple[list[int], list[int]]:
    """Floating-point operations of each generated token, with caches and without."""
    model = reference.CachedCausalLM(vocab_size=64, d_model=32, num_heads=4, d_ff=128, num_layers=2, max_len=PROMPT + TOKENS)
    token_ids = torch.zeros(1, PROMPT + TOKENS, dtype=torch.long)
    caches = model.new_caches(1)
    cached, uncached = [], []
    # Attention as plain products of matrices: fused kernels are not counted.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        for end in range(PROMPT, PROMPT + TOKENS):
            with watching() as cost:
                model(token_ids[:, caches[0].length : end], caches)
            cached.append(cost.flops)
            with watching() as cost:
                model(token_ids[:, :end])
            uncached.append(cost.flops)
    return cached, uncached


def _chunk_mask(reference: ModuleType) -> Figure:
    right = seen_by_chunk(reference)
    top_left = torch.ones_like(right).tril()
    figure = Figure(figsize=(7.2, 2.4), layout="constrained")
    left, other = figure.subplots(1, 2, sharey=True)
    _panel(left, right, "what each query of the chunk sees")
    _panel(other, top_left, "what is_causal=True would show it")
    left.set_ylabel("query")
    return figure


def _panel(axes: Axes, visible: Tensor, title: str) -> None:
    queries, keys = visible.shape
    axes.imshow(visible.int().numpy(), cmap=VISIBLE, vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(keys), [str(key) for key in range(keys)])
    axes.set_yticks(range(queries), [str(STORED + query) for query in range(queries)])
    axes.set_xticks([key - 0.5 for key in range(1, keys)], minor=True)
    axes.set_yticks([query - 0.5 for query in range(1, queries)], minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.axvline(STORED - 0.5, color="#c0392b", linewidth=1.5)
    axes.set(title=title, xlabel="key (stored | new)")


def _cost(reference: ModuleType) -> Figure:
    cached, uncached = step_costs(reference)
    figure = Figure(figsize=(7.2, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = range(1, TOKENS + 1)
    for axes, with_caches, without in ((left, cached, uncached), (right, _sums(cached), _sums(uncached))):
        axes.plot(steps, [value / 1e6 for value in without], color="#c0392b", label="without caches")
        axes.plot(steps, [value / 1e6 for value in with_caches], color="#2a6fb0", label="with caches")
        axes.set(xlabel="new token", xlim=(0, TOKENS), ylim=(0, None))
    left.set(title="each token", ylabel="million operations")
    right.set(title="all tokens so far")
    left.legend(frameon=False)
    return figure


def _sums(values: list[int]) -> list[int]:
    return [sum(values[: index + 1]) for index in range(len(values))]
