"""The class report's figures as inline SVG: text stays text, colours are the page's own, the same data give the same bytes."""

from __future__ import annotations

import io
import re
import statistics
import textwrap
import warnings
import zlib
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autograder.reports import text
from autograder.reports.model import Outcome
from autograder.reports.summary import TestSummary
from autograder.reports.words import number

_WIDTH, _HALF_WIDTH = 10.4, 4.9  # inches
_NAMED_STUDENTS = 40  # beyond, columns are too narrow for a name
_TITLE_WIDTH = 50

# Colours that stand for the page's: put into the SVG by these codes, then replaced by CSS variables, which know about dark mode.
_INK, _MUTED, _LINE, _CARD = "#010101", "#020202", "#030303", "#080808"
_FILL_PASS, _FILL_FAIL, _FILL_IDLE, _FILL_ACCENT = "#040404", "#050505", "#060606", "#070707"
_VARIABLES = {
    _INK: "ink",
    _MUTED: "muted",
    _LINE: "line",
    _CARD: "card",
    _FILL_PASS: "fill-pass",
    _FILL_FAIL: "fill-fail",
    _FILL_IDLE: "fill-idle",
    _FILL_ACCENT: "fill-accent",
}
# The heat map is an image and cannot follow: what matters is solid, the rest lets the card's colour through.
_CELLS = {Outcome.PASSED: (79, 157, 136, 105), Outcome.FAILED: (207, 75, 92, 255), Outcome.NOT_RUN: (130, 138, 150, 80), None: (0, 0, 0, 0)}

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "autograder",
    "text.parse_math": False,  # a student may be called $x$
    "text.usetex": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "axes.titlecolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "axes.axisbelow": True,
    "grid.color": _LINE,
}


def score_distribution(scores: Sequence[float], max_score: float, *, name: str, unit: str = "points") -> Markup:
    """A histogram of scores in ten bins, the last one closed, with mean and median marked."""
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(_HALF_WIDTH, 2.6))
        axes = _axes(figure, (0.15, 0.62, _HALF_WIDTH - 0.35, 1.6))
        top = max_score or 1.0
        counts, edges = np.histogram(np.clip(scores, 0, top), bins=10, range=(0, top))
        axes.bar(edges[:-1], counts, width=top / 10, align="edge", color=_FILL_ACCENT, edgecolor="none", linewidth=0, zorder=2, alpha=0.9)
        for left, count in zip(edges, counts, strict=False):
            if count:
                axes.text(left + top / 20, count, str(count), ha="center", va="bottom", fontsize=9, color=_INK, zorder=5)
        highest = max(int(counts.max()), 1)
        axes.set_ylim(0, highest * 1.18)
        axes.set_xlim(0, top)
        for label, value, style in (("mean", statistics.fmean(scores), (0, (1, 1.5))), ("median", statistics.median(scores), (0, (5, 2)))):
            axes.axvline(value, color=_INK, linewidth=1.4, linestyle=style, zorder=3, label=f"{label} {number(value)}")
        axes.legend(loc="lower right", bbox_to_anchor=(1.02, 1.0), ncols=2, frameon=False, borderaxespad=0.2, fontsize=9)
        axes.set_xticks(np.linspace(0, top, 6), [number(float(tick)) for tick in np.linspace(0, top, 6)])
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xlabel(unit)
        return _svg(figure, name)


def assignments_compared(titles: Sequence[str], percents: Sequence[Sequence[float]], *, name: str) -> Markup:
    """A box for the middle half of the class in each assignment, its median, and whiskers to the best and the worst."""
    with matplotlib.rc_context(_SETTINGS):
        height = 0.42 * len(titles)
        figure = Figure(figsize=(_HALF_WIDTH, height + 0.95))
        axes = _axes(figure, (1.85, 0.62, _HALF_WIDTH - 2.1, height))
        for place, scores in enumerate(percents):
            if scores:
                low, lower, median, upper, high = np.quantile(scores, (0, 0.25, 0.5, 0.75, 1))
                axes.plot((low, high), (place, place), color=_MUTED, linewidth=1.4, zorder=2)
                axes.barh(place, max(upper - lower, 0.8), left=lower, height=0.52, color=_FILL_ACCENT, zorder=3)
                axes.plot((median, median), (place - 0.33, place + 0.33), color=_INK, linewidth=2.4, zorder=4)
        axes.set_yticks(range(len(titles)), [_wrapped(title, 24) for title in titles], color=_INK, fontsize=9, multialignment="right")
        axes.set_ylim(len(titles) - 0.4, -0.6)
        axes.set_xlim(0, 100.5)
        axes.grid(axis="x", linewidth=0.8)
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("percent of the points")
        return _svg(figure, name)


def tests_and_students(tests: Sequence[TestSummary], students: Sequence[str], *, name: str) -> Markup:
    """A heat map of tests × students, and beside it how many students failed each test."""
    with matplotlib.rc_context(_SETTINGS):
        named = len(students) <= _NAMED_STUDENTS
        below = 1.0 if named else 0.45
        height = 0.36 * len(tests)
        figure = Figure(figsize=(_WIDTH, height + below + 0.1))
        left, bars = 3.6, 1.9
        map_width = _WIDTH - left - bars - 0.3
        shown = min(map_width, 0.42 * len(students))
        heat = _axes(figure, (left, below, shown, height))
        failures = _axes(figure, (left + shown + 0.2, below, bars + map_width - shown, height))
        _heat_map(heat, tests, students, named)
        _failure_bars(failures, tests, len(students))
        return _svg(figure, name)


def _heat_map(axes: Axes, tests: Sequence[TestSummary], students: Sequence[str], named: bool) -> None:
    pixels = np.array([[_CELLS[outcome] for outcome in test.outcomes] for test in tests], dtype=np.uint8)
    axes.imshow(pixels, aspect="auto", interpolation="none")
    titles = [_wrapped(f"{place}. {test.title}") for place, test in enumerate(tests, 1)]
    axes.set_yticks(range(len(tests)), titles, color=_INK, fontsize=9, multialignment="right")
    if named:
        _marks(axes, tests)
        axes.set_xticks(np.arange(1, len(students)) - 0.5, minor=True)
        axes.set_xticks(
            range(len(students)), [text.name(student, 18) for student in students], rotation=55, ha="right", rotation_mode="anchor", fontsize=9
        )
    else:
        step = next(step for step in (10, 25, 50, 100, 250, 500, 1000, 10**6) if len(students) <= 8 * step)
        places = [0, *range(step - 1, len(students), step)]
        axes.set_xticks(places, [str(place + 1) for place in places], fontsize=9)
        axes.set_xlabel("students, best score first", fontsize=9)
    axes.set_yticks(np.arange(1, len(tests)) - 0.5, minor=True)
    axes.grid(which="minor", color=_CARD, linewidth=1.6)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _marks(axes: Axes, tests: Sequence[TestSummary]) -> None:
    """Say by a sign what the colour says: a cross for failed, a dash for not run."""
    for outcome, marker, colour in ((Outcome.FAILED, "x", "white"), (Outcome.NOT_RUN, "_", _INK)):
        cells = [(x, y) for y, test in enumerate(tests) for x, found in enumerate(test.outcomes) if found is outcome]
        if cells:
            axes.plot(*zip(*cells, strict=True), linestyle="none", marker=marker, markersize=5, markeredgewidth=1.4, color=colour)


def _failure_bars(axes: Axes, tests: Sequence[TestSummary], students: int) -> None:
    places = np.arange(len(tests))
    failed = np.array([test.count(Outcome.FAILED) for test in tests])
    waiting = np.array([test.count(Outcome.NOT_RUN) for test in tests])
    axes.barh(places, failed, height=0.62, color=_FILL_FAIL)
    axes.barh(places, waiting, left=failed, height=0.62, color=_FILL_IDLE)
    longest = max(int((failed + waiting).max()), 1)
    for place, (bad, idle) in enumerate(zip(failed, waiting, strict=True)):
        label = f"{bad}" + (f" + {idle}" if idle else "")
        axes.text(bad + idle + longest * 0.03, float(place), label if bad or idle else "0", va="center", fontsize=9, color=_INK if bad else _MUTED)
    axes.set_ylim(len(tests) - 0.5, -0.5)
    axes.set_xlim(0, longest * 1.35)
    axes.set_axis_off()


def _axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Axes at left, bottom, width and height in inches."""
    width, height = figure.get_size_inches()
    left, bottom, wide, high = box
    axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
    axes.patch.set_visible(False)
    return axes


def _wrapped(title: str, width: int = _TITLE_WIDTH) -> str:
    lines = textwrap.wrap(text.one_line(title), width, max_lines=2, placeholder=" …")
    return "\n".join(lines)


def _svg(figure: Figure, name: str) -> Markup:
    """The figure as an <svg> to put into a page. `name` says what it shows, to who cannot see it."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser draws the text, with its own fonts
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    source = buffer.getvalue()
    source = source[source.index("<svg") :]
    source = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", source, flags=re.DOTALL)  # would hold for the whole page
    source = re.sub(r"<metadata>.*?</metadata>", "", source, flags=re.DOTALL)
    for code, variable in _VARIABLES.items():
        source = re.sub(rf"(fill|stroke): {code}\b", rf"\1: var(--{variable})", source)
    # The figures of one page share its ids: each gets a prefix of its own.
    prefix = f"f{zlib.crc32(source.encode()):08x}-"
    source = re.sub(r'\bid="', f'id="{prefix}', source)
    source = re.sub(r'((?:xlink:)?href="|url\()#', rf"\1#{prefix}", source)
    width, height = (72 * size for size in figure.get_size_inches())
    head = f'<svg role="img" aria-label="{escape(name)}" width="{width * 4 / 3:.0f}" height="{height * 4 / 3:.0f}" viewBox="0 0 {width:g} {height:g}" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return Markup(re.sub(r"<svg[^>]*>", lambda _: head, source, count=1))
