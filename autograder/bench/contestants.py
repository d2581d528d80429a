"""How each tool is asked to grade a class, and where it leaves the points."""

from __future__ import annotations

import json
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from autograder.bench.checks import hidden_tests
from autograder.bench.figures import Sample
from autograder.bench.other_tools import environment
from autograder.bench.population import ASSIGNMENT, NAME, Entry, source_path, write_class
from autograder.bench.process_tree import Usage, run_measured
from autograder.grading.paths import HIDDEN_TESTS, REPOSITORY

Points = dict[str, dict[str, float]]


class Contestant(ABC):
    """A tool. `prepare` is not measured, `grade` is."""

    key: str
    title: str

    @abstractmethod
    def grade(self, entries: Sequence[Entry], folder: Path) -> Sample:
        """Grade the class with all that a first run of this tool needs, in an empty folder. Raises CommandError."""

    def _log(self, folder: Path) -> Path:
        return folder / f"{self.key}.log"


class Isolated(Contestant):
    """This grader, by the command that an instructor types."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.key = f"isolated-{jobs}"
        self.title = f"this grader, {jobs} {'job' if jobs == 1 else 'jobs'}"

    def grade(self, entries: Sequence[Entry], folder: Path) -> Sample:
        submissions, results = write_class(entries, folder / "submissions"), folder / "results"
        options = ["--assignment", ASSIGNMENT, "--results", results, "--gradebook", "none", "--sandbox", "require", "--jobs", self.jobs]
        command = [sys.executable, "-m", "autograder", "grade", submissions, "--course", REPOSITORY / "course.toml", *options]
        usage = run_measured([str(part) for part in command], environment(), REPOSITORY, self._log(folder))
        return Sample(len(entries), usage, self.points(results))

    @staticmethod
    def points(results: Path) -> Points:
        from autograder.results.ledger import Ledger

        return {report.student: {test.id: test.points for test in report.tests} for report in Ledger(results).all_current()}


class Warm(Contestant):
    """The floor: every submission in one process."""

    key = "warm"
    title = "one warm process, no isolation"

    def grade(self, entries: Sequence[Entry], folder: Path) -> Sample:
        submissions, points = write_class(entries, folder / "submissions"), folder / "points.json"
        usage = run_measured([sys.executable, "-m", "autograder.bench.warm", submissions, points], environment(), REPOSITORY, self._log(folder))
        return Sample(len(entries), usage, json.loads(points.read_text(encoding="utf-8")))


class PytestEach(Contestant):
    """A shell loop that starts pytest for each submission."""

    key = "pytest"
    title = "one pytest process each"

    def grade(self, entries: Sequence[Entry], folder: Path) -> Sample:
        submissions = write_class(entries, folder / "submissions")
        suite = HIDDEN_TESTS / f"test_{NAME}.py"
        lines = []
        for entry in entries:
            options = (
                f"-p autograder.bench.one_process --submission '{source_path(submissions, entry.student)}' --points '{folder / entry.student}.json'"
            )
            lines.append(
                f"'{sys.executable}' -m pytest '{suite}' -q --tb=short -p no:cacheprovider --rootdir '{REPOSITORY}' {options} || test $? = 1"
            )
        usage = _run_script(lines, folder, environment(), self._log(folder))
        found = {entry.student: json.loads((folder / f"{entry.student}.json").read_text(encoding="utf-8")) for entry in entries}
        return Sample(len(entries), usage, {student: _with_zeros(points) for student, points in found.items()})


class Otter(Contestant):
    """`otter run` for each submission, with an autograder archive of one test file for each hidden test."""

    key = "otter"
    title = "otter run"

    def __init__(self, python: Path) -> None:
        self._python = python

    def grade(self, entries: Sequence[Entry], folder: Path) -> Sample:
        submissions = write_class(entries, folder / "submissions")
        archive = otter_archive(folder)
        lines = []
        for entry in entries:
            results = folder / "results" / entry.student
            results.mkdir(parents=True)
            lines.append(f"'{self._python}' -m otter run --no-logo -a '{archive}' -o '{results}' '{source_path(submissions, entry.student)}'")
        usage = _run_script(lines, folder, environment(), self._log(folder))
        return Sample(len(entries), usage, {entry.student: otter_points(folder / "results" / entry.student / "results.json") for entry in entries})


def otter_archive(folder: Path) -> Path:
    """What `otter run -a` takes, made below `folder`: a test file for each hidden test."""
    source = folder / "autograder"
    (source / "tests").mkdir(parents=True)
    config = {"show_stdout": False, "print_summary": False, "print_score": False}
    (source / "otter_config.json").write_text(json.dumps(config), encoding="utf-8")
    for number, test in enumerate(hidden_tests()):
        name = f"q{number:02}_{test.id}"
        text = (
            "from otter.test_files import test_case\nfrom autograder.bench.checks import check\n\nOK_FORMAT = False\n"
            f"name = {name!r}\npoints = {test.points}\n\n@test_case(hidden=True)\ndef test(env):\n    check({test.id!r}, env)\n"
        )
        (source / "tests" / f"{name}.py").write_text(text, encoding="utf-8")
    return Path(shutil.make_archive(str(source), "zip", source))


def otter_points(path: Path) -> dict[str, float]:
    found = json.loads(path.read_text(encoding="utf-8"))["tests"]
    by_name = {str(entry["name"]).split(" - ")[0].partition("_")[2]: float(entry.get("score", 0.0)) for entry in found}
    return _with_zeros({name: points for name, points in by_name.items() if name.startswith("test_")})


def _run_script(lines: Sequence[str], folder: Path, variables: dict[str, str], log: Path) -> Usage:
    """One shell that runs the lines one after the other, and stops at the first that fails."""
    script = folder / "run.sh"
    script.write_text("set -e\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return run_measured(["sh", script], variables, folder, log)


def _with_zeros(points: dict[str, float]) -> dict[str, float]:
    """A test that a tool left out gave no points."""
    return {test.id: points.get(test.id, 0.0) for test in hidden_tests()}
