"""The practice score: the public tests of every assignment, as a summary for GitHub's page of a run.

    python -m autograder.checking.practice >> "$GITHUB_STEP_SUMMARY"

Each assignment runs in a process of its own, so that a loop that never ends, or a solution that ends Python, costs that
assignment alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autograder.checking.check_find import CannotCheckError, Target, find_targets
from autograder.checking.check_results import Outcome
from autograder.checking.notebook import NotebookError, solution_source
from autograder.checking.practice_words import Practice, summary

COULD_NOT_RUN = 2
SECONDS = 120  # for one assignment; a right solution needs a few, of which torch's import takes most

_MAX_ANSWER_BYTES = 1 << 20
_MAX_LINES = 400


@dataclass(frozen=True)
class _Chosen:
    """What of an assignment is run: the solution, or the notebook that is handed in without one."""

    target: Target
    source: Path | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 however little is done yet, 2 when there is nothing to run."""
    parser = argparse.ArgumentParser(prog="practice", description="Run the public tests of all assignments and print a summary in Markdown.")
    parser.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help='"attention", "01_attention" or "01"; none: every assignment')
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for one assignment (default: {SECONDS})")
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)  # the process of one assignment: where its results go
    options = parser.parse_args(arguments)
    try:
        targets = find_targets(options.assignments, Path.cwd())
    except CannotCheckError as error:
        print(f"error: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    if options.answer is not None:
        options.answer.write_text(json.dumps(_run(targets[0])), encoding="utf-8")
        return 0
    done = []
    for target in targets:
        done.append(_in_own_process(target, options.seconds))
        print(f"{target.folder}: {done[-1].passed} of {done[-1].total} public tests pass", file=sys.stderr)
    sys.stdout.buffer.write(summary(done).encode("utf-8", "replace"))
    sys.stdout.flush()
    return 0


def _in_own_process(target: Target, seconds: float) -> Practice:
    chosen = _choose(target)
    if chosen.source is None:
        return Practice(target.folder, problem=f"{target.name}.py is not there; write it, or hand in {target.name}.ipynb.")
    done = _run_apart(target, chosen.source, seconds)
    notebook = target.solution.with_suffix(".ipynb")
    if done.unwritten and chosen.source != notebook and _is_further(notebook, chosen.source):
        return _run_apart(target, notebook, seconds)
    return done


def _is_further(notebook: Path, stub: Path) -> bool:
    """Whether a notebook holds work and the file beside it none: it is graded then."""
    left = "NotImplementedError"
    try:
        code = solution_source(notebook.read_text(encoding="utf-8-sig"))
        return code.count(left) < stub.read_text(encoding="utf-8-sig").count(left)
    except (OSError, UnicodeDecodeError, NotebookError):
        return False


def _run_apart(target: Target, source: Path, seconds: float) -> Practice:
    word = str(source) if source.suffix == ".ipynb" else target.folder
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        command = [sys.executable, "-m", "autograder.checking.practice", word, "--answer", str(answer)]
        try:
            # What the student's code prints goes nowhere: a line of it could be a command to GitHub.
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=seconds, check=False)
            return _practice(target, source.name, _read_answer(answer))
        except subprocess.TimeoutExpired:
            return Practice(target.folder, problem=f"{source.name} was stopped after {seconds:g} seconds: does a loop of it ever end?")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Practice(target.folder, problem=f"{source.name} ended Python before its tests were done; `make check` shows where.")


def _choose(target: Target) -> _Chosen:
    notebook = target.solution.with_suffix(".ipynb")
    return _Chosen(target, next((path for path in (target.solution, notebook) if path.is_file()), None))


def _read_answer(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        answer: dict[str, Any] = json.loads(file.read(_MAX_ANSWER_BYTES))
    return answer


def _practice(target: Target, source: str, answer: dict[str, Any]) -> Practice:
    """A process that ran a student's code may have written anything: only numbers and texts are taken from it."""
    if answer.get("problem") is not None:
        return Practice(target.folder, problem=f"{source}: {answer['problem']!s}")
    outcomes = [Outcome(outcome) for outcome in answer["outcomes"]]
    return Practice(
        target.folder,
        passed=outcomes.count(Outcome.PASSED),
        total=len(outcomes),
        unwritten=bool(outcomes) and Outcome.PASSED not in outcomes and Outcome.FAILED not in outcomes,
        next_step=str(answer["next"]),
        lines=tuple(str(line) for line in answer["lines"][:_MAX_LINES]),
    )


def _run(target: Target) -> dict[str, Any]:
    """Of one assignment, in its own process: outcomes, what comes next, and the check's own words."""
    from autograder.checking.check_load import load_target
    from autograder.checking.check_run import CannotLoadError, run_public_tests
    from autograder.checking.check_words import problem_lines, reading_lines, summary_lines, test_lines

    source = _choose(target).source
    if source is None:
        return {"problem": "is not there"}
    try:
        module, notes = load_target(replace(target, solution=source))
    except CannotLoadError as error:
        return {"problem": "\n".join(problem_lines(error.problem))}
    checked = run_public_tests(target.tests, module, name=source.name)
    if checked.error is not None:
        return {"problem": checked.error}
    lines = reading_lines(notes)
    lines += [line for test in checked.tests if test.outcome is not Outcome.PASSED for line in test_lines(test)]
    next_step = next((line for line in summary_lines(checked, None) if line.startswith("Next: ")), "")
    return {"outcomes": [test.outcome.value for test in checked.tests], "lines": lines, "next": next_step.removeprefix("Next: ")}


if __name__ == "__main__":
    sys.exit(main())
