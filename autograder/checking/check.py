"""Check a solution against the public tests, and say in words what is wrong and where.

python -m autograder.checking.check attention     # or 01_attention, 01, a path, several of them; none: every assignment
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from autograder.checking.check_find import PUBLIC_TESTS, CannotCheckError, Target, find_assignments, find_targets

try:
    from autograder.checking.check_load import load_target
    from autograder.checking.check_results import Checked, Outcome
    from autograder.checking.check_run import CannotLoadError, run_public_tests
    from autograder.checking.check_words import problem_lines, reading_lines, summary_lines, test_lines
except ModuleNotFoundError as error:
    if __name__ != "__main__":
        raise
    print(f"error: {error.name} is not installed for {sys.executable}; activate the course's environment first.", file=sys.stderr)
    sys.exit(2)

PASSED, FAILED, COULD_NOT_RUN, INTERRUPTED = 0, 1, 2, 130

_VALIDATE_WIDTH = 82  # `nbgrader validate` cuts longer lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 when every test passed, 1 when some did not, 2 when something could not be checked, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="check", description="Run the public tests of an assignment on your solution.")
    parser.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help='"attention", "01_attention", "01" or a path; none: every assignment')
    parser.add_argument("-k", dest="select", metavar="NAME", help="only the tests whose name holds this")
    parser.add_argument("-x", dest="stop_at_first", action="store_true", help="stop at the first failure")
    options = parser.parse_args(arguments)
    out = sys.stdout
    if hasattr(out, "reconfigure"):
        out.reconfigure(errors="replace")  # a console that cannot show "√" must not hide the message
    try:
        targets = find_targets(options.assignments, Path.cwd())
    except CannotCheckError as error:
        print(f"error: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    codes: list[int] = []
    for target in targets:
        if codes:
            _print([""], out)
        codes.append(_check(target, out, options.select, options.stop_at_first))
        if codes[-1] == INTERRUPTED:
            break
    return max(codes)


def check_notebook(name: str, namespace: dict[str, Any]) -> None:
    """Run the public tests of an assignment on what a notebook has defined; `namespace` is its `globals()`.

    Nothing is raised: the cells after this one are to run. `nbgrader validate` reports a cell that wrote to stderr.
    """
    out = io.StringIO() if os.environ.get("NBGRADER_VALIDATING") else sys.stdout
    code = _check_namespace(name, namespace, out)
    if isinstance(out, io.StringIO):
        lines = (textwrap.fill(line, _VALIDATE_WIDTH, subsequent_indent="  ") for line in out.getvalue().splitlines())
        _print(lines, sys.stdout if code == PASSED else sys.stderr)


def _check_namespace(name: str, namespace: dict[str, Any], out: TextIO) -> int:
    try:
        target = _target_near(name)
    except CannotCheckError as error:
        _print([f"Nothing was checked: {error}"], out)
        return COULD_NOT_RUN
    module = ModuleType(target.name)
    module.__dict__.update({key: value for key, value in namespace.items() if not key.startswith("__")})
    _print([f"{target.folder}: what this notebook has defined", ""], out)
    checked = run_public_tests(target.tests, module, namespace, name=target.name, tell=lambda test: _print(test_lines(test), out))
    return _report(checked, out, debug=None)


def _target_near(name: str) -> Target:
    """The assignment that a notebook belongs to: in its own folder, as nbgrader hands it out, or in the course's."""
    here = Path.cwd()
    if (here / PUBLIC_TESTS).is_file() and (here / f"{name}.ipynb").is_file():
        return Target(here.name, name, here / PUBLIC_TESTS, here / f"{name}.py")
    found = next((found for found in _assignments_near() if name in (found.name, found.folder)), None)
    if found is None:
        raise CannotCheckError(f"there is no assignment {name!r} here.")
    return found


def _assignments_near() -> Sequence[Target]:
    for start in (Path.cwd(), Path(__file__).resolve().parents[2]):
        with contextlib.suppress(CannotCheckError):
            return find_assignments(start)
    raise CannotCheckError(
        f"the public tests are not here. They are the file {PUBLIC_TESTS} in the assignment's folder: open the notebook where it lies in the "
        "course's folder, or copy that file beside it. The notebook can be handed in all the same."
    )


def _check(target: Target, out: TextIO, select: str | None, stop_at_first: bool) -> int:
    colour = _colour_wanted(out)
    _print([f"{target.folder}: {_relative(target.solution)}", ""], out)
    if not target.solution.is_file():
        kind = "is a folder, not a file" if target.solution.is_dir() else "does not exist"
        _print([f"error: {_relative(target.solution)} {kind}; your solution belongs there."], out)
        return COULD_NOT_RUN
    try:
        module, notes = load_target(target)
    except CannotLoadError as error:
        _print(["This file cannot be checked yet:", *problem_lines(error.problem)], out)
        return INTERRUPTED if error.interrupted else COULD_NOT_RUN
    _print(reading_lines(notes), out)
    checked = run_public_tests(
        target.tests,
        module,
        name=target.solution.name,
        select=select,
        stop_at_first=stop_at_first,
        tell=lambda test: _print(test_lines(test, colour), out),
    )
    in_its_place = target.solution.parent == target.tests.parent and target.solution.suffix == ".py"
    return _report(checked, out, f"pytest {_relative(target.tests.parent)} -k {{name}} --pdb" if in_its_place else None)


def _report(checked: Checked, out: TextIO, debug: str | None) -> int:
    if checked.error is not None:
        _print([f"error: {checked.error}"], out)
        return COULD_NOT_RUN
    ends_on_an_empty_line = checked.tests and checked.tests[-1].outcome is Outcome.FAILED
    _print([*([] if ends_on_an_empty_line else [""]), *summary_lines(checked, debug)], out)
    if checked.interruption is not None:
        return INTERRUPTED
    return PASSED if checked.passed == len(checked.tests) else FAILED


def _print(lines: Iterable[str], out: TextIO) -> None:
    try:
        for line in lines:
            print(line, file=out)
        out.flush()
    except BrokenPipeError:  # whoever reads this, `head` for one, has seen enough
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, out.fileno())
        os.close(nowhere)


def _relative(path: Path) -> str:
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)


def _colour_wanted(out: TextIO) -> bool:
    """Colour is for terminals; NO_COLOR (https://no-color.org) turns it off."""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


if __name__ == "__main__":
    sys.exit(main())
