"""`python -m autograder.bench.load`: grade a large class with endless loops in it, by the command that instructors type.

A run that was stopped goes on where it was: give the same folder again. Of a finished one the figures are told again.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from autograder.bench import load_tables, machine
from autograder.bench.load_class import Handed, class_of, write_class
from autograder.bench.load_figures import Grading
from autograder.bench.other_tools import environment
from autograder.bench.pages import write_docs
from autograder.bench.process_tree import CommandError, run_measured
from autograder.bench.sampling import Sampler
from autograder.course.course import Course, load_course
from autograder.course.late import parse_time
from autograder.grading.paths import REPOSITORY
from autograder.results.ledger import Ledger

EXIT_INTERRUPTED = 130
PART = "load"
_SHARED = Path("/dev/shm")
_SECONDS_BETWEEN_SIGNS = 15


@dataclass
class Run:
    """All parts of a run, one for each start. left_files: what was in temporary folders afterwards and not before."""

    size: int
    jobs: int
    wall_seconds: float = 0.0
    tree_bytes: int = 0
    left_processes: int = 0
    left_files: list[str] = field(default_factory=list)
    changed_submissions: int = 0
    parts: int = 0
    finished: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started this in the background, which ignores Ctrl-C
        signal.signal(number, signal.default_int_handler)
    course = _course(options)
    handed = class_of(options.submissions, course)
    note = machine.load_note()
    with contextlib.ExitStack() as stack:
        if options.folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="autograder-load-")))
        else:
            folder = options.folder.resolve()
            folder.mkdir(parents=True, exist_ok=True)
        run = _continued(folder, options)
        try:
            if not run.finished and not options.figures:
                _grade(run, handed, folder, options)
        except CommandError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        finally:
            (folder / "load.json").write_text(json.dumps(asdict(run), indent=1) + "\n", encoding="utf-8")
        gradings = gradings_of(folder / "results", handed)
    notes = [note] if note else []
    if not run.finished:
        notes.append(f"Stopped before the end: these are the figures of the first {len(gradings):,} submissions.")
    if not gradings:
        return EXIT_INTERRUPTED
    text = load_tables.markdown(run, gradings, course.limits, [*machine.description().items()][:5], notes)
    print(text)
    if options.docs:
        write_docs(options.docs, PART, text, datetime.now(UTC))
    return 0 if run.finished else EXIT_INTERRUPTED


def gradings_of(results: Path, handed: Sequence[Handed]) -> list[Grading]:
    """What the reports in a folder of results say of this class."""
    by_name = {(entry.student, entry.assignment): entry for entry in handed}
    found = []
    for report in Ledger(results).all_current():
        entry = by_name.get((report.student, report.assignment))
        if entry is None:
            continue  # the last student of a class that is no multiple of ten handed in less than all
        ended = parse_time(report.graded_at).timestamp()
        found.append(
            Grading(entry.kind, (entry.assignment, entry.form), ended, report.wall_seconds, report.cpu_seconds, report.score, report.max_score)
        )
    return found


def _grade(run: Run, handed: list[Handed], folder: Path, options: argparse.Namespace) -> None:
    submissions, results, scratch = folder / "submissions", folder / "results", folder / "tmp"
    write_class(handed, submissions)
    scratch.mkdir(exist_ok=True)
    before, shared = _digest(submissions), _names(_SHARED)
    command: list[str | Path] = [sys.executable, "-m", "autograder", "grade", submissions, "--course", folder / "course.toml"]
    command += ["--results", results, "--gradebook", "none", "--sandbox", options.sandbox, "--jobs", str(run.jobs)]
    (folder / "course.toml").write_text(_course_text(options), encoding="utf-8")
    samplers: list[Sampler] = []

    def watch(pid: int) -> Sampler:
        samplers.append(Sampler(pid))
        return samplers[-1]

    started = time.monotonic()
    run.parts += 1
    try:
        with _signs_of_life(results, len(handed)):
            usage = run_measured(command, environment(TMPDIR=str(scratch)), REPOSITORY, folder / "grade.log", watch)
        run.left_processes += usage.leftovers
        run.finished = True
    except KeyboardInterrupt:
        print("stopped; the same command with the same --folder goes on from here", file=sys.stderr)
    finally:
        run.wall_seconds += time.monotonic() - started
        run.tree_bytes = max(run.tree_bytes, *(sampler.most_bytes or 0 for sampler in samplers))
        if run.finished:
            run.left_files = sorted([*_names(scratch), *(_names(_SHARED) - shared - _in_use()), *_unfinished(results)])
        run.changed_submissions += _digest(submissions) != before
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def _signs_of_life(results: Path, size: int) -> Iterator[None]:
    done = threading.Event()

    def tell() -> None:
        while not done.wait(_SECONDS_BETWEEN_SIGNS):
            print(f"{sum(1 for _ in results.glob('*/*/*.json'))} of {size} graded", file=sys.stderr, flush=True)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _continued(folder: Path, options: argparse.Namespace) -> Run:
    try:
        run = Run(**json.loads((folder / "load.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Run(options.submissions, options.jobs)
    if (run.size, run.jobs) != (options.submissions, options.jobs):
        raise SystemExit(f"error: {folder} holds a run of {run.size} submissions with {run.jobs} jobs; name another folder or the same numbers")
    return run


def _course_text(options: argparse.Namespace) -> str:
    text = (REPOSITORY / "course.toml").read_text(encoding="utf-8")
    for name in ("call_seconds", "submission_seconds"):
        if (value := getattr(options, name)) is not None:
            text = re.sub(rf"(?m)^{name} = [\d.]+", f"{name} = {value:g}", text)
    return text


def _course(options: argparse.Namespace) -> Course:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "course.toml")
        path.write_text(_course_text(options), encoding="utf-8")
        return load_course(path)


def _digest(folder: Path) -> Counter[tuple[str, bytes]]:
    return Counter((str(path), hashlib.sha256(path.read_bytes()).digest()) for path in folder.rglob("*") if path.is_file())


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _in_use() -> set[str]:
    """Names of shared memory that a living process maps: the command's own have ended."""
    found: set[str] = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            found |= {Path(line.split()[-1]).name for line in maps.read_text().splitlines() if f" {_SHARED}/" in line}
    return found


def _unfinished(results: Path) -> list[str]:
    """Hidden files beside reports are what an interrupted write leaves."""
    return [path.name for path in results.glob("*/*/.*")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m autograder.bench.load", description=__doc__)
    parser.add_argument("--submissions", type=int, default=2000, metavar="N", help="how many files, over all assignments (default: 2000)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep class and results here, and go on with what is there (default: a throw-away folder)")
    parser.add_argument("--sandbox", choices=("require", "best"), default="require")
    parser.add_argument("--call-seconds", type=float, metavar="S", help="another limit than the course's, wall time of a call")
    parser.add_argument("--submission-seconds", type=float, metavar="S", help="another limit than the course's, wall time of a submission")
    parser.add_argument("--figures", action="store_true", help="grade nothing more: only tell the figures of what is in the folder")
    parser.add_argument("--docs", type=Path, metavar="PAGE", help="put the figures into this Markdown page too (docs/benchmarks.md)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
