"""Run a hidden suite in this process, with tracebacks and breakpoints, on the reference or on a file of the author's.

python -m autograder.authoring.try_suite attention                      # the reference
python -m autograder.authoring.try_suite attention my_variant.py -x     # a file; the rest goes to pytest
python -m autograder.authoring.try_suite attention @softmax-over-dim-0  # a misconception of the bank
python -m autograder.authoring.try_suite attention @all                 # a line for the reference, each misconception and each alternative
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from autograder.checking.fixtures import LocalPlugin, load_submission
from autograder.misconceptions.bank import load_bank

REPOSITORY = Path(__file__).resolve().parents[2]


class _FailedTests:
    """Notes which tests did not pass."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.names.append(report.nodeid.rpartition("::")[2])


def run_all(name: str) -> int:
    """Print, for every known solution of an assignment, which hidden tests it fails."""
    reference_path = REPOSITORY / "reference_solutions" / f"{name}.py"
    source = reference_path.read_text(encoding="utf-8")
    reference = load_submission(reference_path)
    alternatives = sorted((REPOSITORY / "tests" / "alternative_solutions" / name).glob("*.py"))
    solutions = [("reference", source)] + [(f"right: {path.stem}", path.read_text(encoding="utf-8")) for path in alternatives]
    solutions += [(f"wrong: {entry.name}", entry.apply(source)) for entry in load_bank(name)]
    unexpected = 0
    for title, text in solutions:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / f"{name}.py"
            path.write_text(text, encoding="utf-8")
            failed = _FailedTests()
            suite = REPOSITORY / "autograder" / "hidden_tests" / f"test_{name}.py"
            arguments = [str(suite), "-p", "no:cacheprovider", "-p", "no:terminal", "--rootdir", str(REPOSITORY)]
            pytest.main(arguments, plugins=[LocalPlugin(load_submission(path), reference), failed])
        unexpected += bool(failed.names) != title.startswith("wrong")
        print(f"{title}: {'fails ' + ', '.join(failed.names) if failed.names else 'passes everything'}")
    return 1 if unexpected else 0


def run(name: str, solution: str | None = None, pytest_arguments: Sequence[str] = ()) -> int:
    """pytest's exit code. `solution` is a path, or "@" and the name of a misconception; None is the reference itself."""
    reference_path = REPOSITORY / "reference_solutions" / f"{name}.py"
    suite = REPOSITORY / "autograder" / "hidden_tests" / f"test_{name}.py"
    for path in (reference_path, suite):
        if not path.is_file():
            print(f"error: {path} does not exist; is {name!r} the name of an assignment?", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory() as scratch:
        path = reference_path if solution is None else Path(solution)
        if solution is not None and solution.startswith("@"):
            variants = {entry.name: entry for entry in load_bank(name)}
            if solution[1:] not in variants:
                print(f"error: no misconception {solution[1:]!r}; there are {', '.join(variants)}", file=sys.stderr)
                return 2
            path = Path(scratch) / f"{name}.py"
            path.write_text(variants[solution[1:]].apply(reference_path.read_text(encoding="utf-8")), encoding="utf-8")
        plugin = LocalPlugin(load_submission(path), load_submission(reference_path))
        return int(pytest.main([str(suite), "-p", "no:cacheprovider", "--rootdir", str(REPOSITORY), *pytest_arguments], plugins=[plugin]))


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if given else 2
    if given[1:] == ["@all"]:
        return run_all(given[0])
    solution = given[1] if len(given) > 1 and not given[1].startswith("-") else None
    return run(given[0], solution, given[2 if solution else 1 :])


if __name__ == "__main__":
    sys.exit(main())
