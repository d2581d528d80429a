"""`python -m autograder.bench`: measure this grader beside others on the same class, in one run."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from autograder.bench import decoding, flash, machine, other_tools, tables
from autograder.bench.pages import write_docs
from autograder.bench.plan import FULL, QUICK, Results, Scale, execute, steps
from autograder.grading.paths import REPOSITORY

EXIT_INTERRUPTED = 130
MAIN_TITLE = "The same submissions, the same checks"
GRADERS, MODELS = "measured", "models"  # parts of the page, between <!-- measured --> and <!-- end of measured -->


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    console = Console()
    code = 0 if options.models else _measure_graders(options, console)
    return code if options.quick or code else _measure_models(options, console)


def _measure_models(options: argparse.Namespace, console: Console) -> int:
    """What the references of 07 and 09 cost beside the forms that they improve on."""
    started = datetime.now(UTC)
    console.print("Measuring the reference solutions: attention in tiles, decoding with caches (two minutes) …", highlight=False)
    parts = [
        ("Attention in tiles (09), forward, against PyTorch's fused attention and the naive form", flash.table(flash.measure_flash())),
        ("One more token (07), with caches and without", decoding.table(decoding.measure_decoding())),
    ]
    for title, table in parts:
        _print_table(console, title, table)
    if options.docs:
        write_docs(options.docs, MODELS, tables.markdown_of_parts(parts), started)
        console.print(f"written: {options.docs}", highlight=False)
    return 0


def _measure_graders(options: argparse.Namespace, console: Console) -> int:
    scale = FULL if options.full else QUICK if options.quick else Scale()
    if options.repetitions:
        scale = replace(scale, repetitions=options.repetitions)
    folder = options.results
    folder.mkdir(parents=True, exist_ok=True)
    started, notes = datetime.now(UTC), [note for note in (machine.load_note(),) if note]
    with tempfile.TemporaryDirectory(prefix="autograder-bench-") as scratch:
        console.print(f"Preparing the other graders in {other_tools.FOLDER.name} (the first time takes a minute or two) …", highlight=False)
        tools = other_tools.prepare(Path(scratch) / "install.log")
        plan, count = steps(scale, tools), itertools.count(1)
        with console.status("") as status:

            def telling(title: str) -> None:
                words = f"[{next(count)}/{len(plan) + 1}] {title}"
                if console.is_terminal:
                    status.update(words.replace("[", "\\["))
                else:
                    console.print(words, markup=False, highlight=False)

            results = execute(plan, tools, Path(scratch), telling)
    if scale.few < scale.each:
        notes.append(f"nbgrader and otter graded {scale.few} of the {scale.each} submissions (all with --full).")
    show(console, results, notes)
    path = folder / f"{started.strftime('%Y-%m-%dT%H-%M-%SZ')}.json"
    path.write_text(json.dumps(_as_json(results, started, notes), indent=1) + "\n", encoding="utf-8")
    console.print(f"written: {path}", highlight=False)
    if options.docs and not results.interrupted:
        write_docs(options.docs, GRADERS, tables.markdown(results, machine.description(), notes), started)
        console.print(f"written: {options.docs}", highlight=False)
    return EXIT_INTERRUPTED if results.interrupted else 0


def show(console: Console, results: Results, notes: Sequence[str]) -> None:
    records = list(results.records.values())
    parts = [(MAIN_TITLE, tables.main_table(records))]
    if results.records.get("isolated-2") and results.records["isolated-2"].samples:
        parts.append(("Larger classes, two jobs", tables.scaling_table(results.records["isolated-2"])))
    if results.breakdown:
        parts.append(("Where the time of one grading goes", tables.breakdown_table(results.breakdown)))
    for title, table in parts:
        _print_table(console, title, table)
        if title == MAIN_TITLE:
            console.print(tables.MEANING, style="dim", highlight=False)
    for text in (*tables.aims(records), *tables.agreement(records), *notes, *results.problems):
        console.print(text, markup=False, highlight=False)
    if results.interrupted:
        console.print("Stopped before the end: the tables hold what was measured until then.", style="yellow")


def _print_table(console: Console, title: str, table: tables.Table) -> None:
    heads, lines = table
    shown = RichTable(title=title, title_justify="left")
    for position, head in enumerate(heads):
        shown.add_column(head, justify="left" if position == 0 else "right")
    for line in lines:
        shown.add_row(*line)
    console.print(shown)


def _as_json(results: Results, started: datetime, notes: Sequence[str]) -> dict[str, object]:
    return {
        "started_at": started.isoformat(timespec="seconds"),
        "interrupted": results.interrupted,
        "machine": machine.description(),
        "notes": [*notes, *results.problems],
        "tools": [asdict(record) for record in results.records.values()],
        "breakdown": results.breakdown,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m autograder.bench", description=__doc__)
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--full", action="store_true", help="every tool grades every submission, and this grader a class of 1,000 (about an hour)")
    amount.add_argument("--quick", action="store_true", help="one repetition and little else: shows that everything works")
    amount.add_argument("--models", action="store_true", help="only the reference solutions of 07 and 09 (two minutes)")
    parser.add_argument("--repetitions", type=int, metavar="N", help="runs of each fast tool, of which medians are taken")
    parser.add_argument("--results", type=Path, default=REPOSITORY / "bench_results", help="where the JSON file goes")
    parser.add_argument("--docs", type=Path, metavar="PAGE", help="put the tables into this Markdown page too (docs/benchmarks.md)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
