"""Each grader with one attack: its points, and what the attack carried out."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.bench.checks import hidden_tests
from autograder.bench.contestants import Isolated, otter_archive, otter_points
from autograder.bench.nbgrader_course import CONFIG, make_notebook
from autograder.bench.other_tools import environment
from autograder.bench.population import ASSIGNMENT, NAME, source_path
from autograder.bench.security.attacks import NBGRADER, OTTER, PYTEST, Attack, Notebook
from autograder.bench.security.confined import run_confined, script
from autograder.grading.paths import REFERENCES, REPOSITORY

STUDENT, CLASSMATE = "mallory", "zoe"
_CANARY_OF_ENVIRONMENT, _CANARY_OF_CLASSMATE = "canary-of-the-environment", "canary-of-the-classmate"
# What is hidden, by words that stand there and nowhere else.
_HIDDEN = {
    "the hidden tests": ("Which diagonal is the first to be hidden?", "local variables of test_"),
    "the reference": ("softmax over nothing is 0/0",),
    "the grader's environment": (_CANARY_OF_ENVIRONMENT,),
    "a classmate's work": (_CANARY_OF_CLASSMATE,),
    "the grader's own process": ("run in the process of the grader",),
}
_SECONDS = 180
_READ_POINTS = """
import json, sys
from nbgrader.api import Gradebook
with Gradebook(sys.argv[1], "benchmark") as gradebook:
    grades = [grade for notebook in gradebook.find_submission(sys.argv[2], sys.argv[3]).notebooks for grade in notebook.grades]
    print(json.dumps({grade.cell.name: grade.score or 0.0 for grade in grades}))
"""


@dataclass(frozen=True)
class Outcome:
    """points: None when the grader gave no grade. leaks: what came out that is hidden."""

    points: float | None
    leaks: tuple[str, ...] = ()


class Trials:
    """Tries attacks in `folder`, each in a part of its own. `python` has nbgrader and otter-grader."""

    def __init__(self, folder: Path, python: Path) -> None:
        self._folder = folder
        self._python = python
        self._ways: dict[str, Callable[[Attack, Path], float | None]] = {NBGRADER: self._nbgrader, OTTER: self._otter, PYTEST: self._pytest}

    def attempt(self, grader: str, attack: Attack) -> Outcome:
        """One of the other graders."""
        work = self._folder / f"{grader}-{attack.name}".replace(" ", "-")
        (work / "drop").mkdir(parents=True)
        for part in ("autograder", "reference_solutions", "assignments"):
            shutil.copytree(REPOSITORY / part, work / "course" / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("course.toml", "pyproject.toml"):
            shutil.copy(REPOSITORY / part, work / "course")
        outcome = Outcome(self._ways[grader](attack, work), _leaks(work / "drop"))
        shutil.rmtree(work, ignore_errors=True)
        return outcome

    def attempt_ours(self, attacks: Sequence[Attack]) -> dict[str, Outcome]:
        """This grader with all of them as one class, by the command that instructors type."""
        work = self._folder / "ours"
        submissions, results = work / "submissions", work / "results"
        for attack in attacks:
            (work / attack.name / "drop").mkdir(parents=True)
            path = source_path(submissions, attack.name)
            path.parent.mkdir(parents=True)
            text = attack.source(_places(work / attack.name, REPOSITORY))
            if attack.change is None:
                path.write_text(text, encoding="utf-8")
            else:
                _write(path.with_suffix(".ipynb"), attack.change(make_notebook(text)))
        classmate = source_path(submissions, CLASSMATE)
        classmate.parent.mkdir(parents=True)
        classmate.write_text(_classmates_work(), encoding="utf-8")
        command = [sys.executable, "-m", "autograder", "grade", str(submissions), "--course", str(REPOSITORY / "course.toml"), "--force"]
        command += ["--assignment", ASSIGNMENT, "--results", str(results), "--gradebook", "none", "--sandbox", "require", "--jobs", "1"]
        for _ in range(2 if any(attack.twice for attack in attacks) else 1):
            subprocess.run(command, cwd=REPOSITORY, env=_environment(REPOSITORY), capture_output=True, check=False)
        points = Isolated.points(results)
        found = {}
        for attack in attacks:
            earned = points.get(attack.name)
            found[attack.name] = Outcome(sum(earned.values()) if earned is not None else None, _leaks(work / attack.name / "drop"))
        shutil.rmtree(work, ignore_errors=True)
        return found

    def _pytest(self, attack: Attack, work: Path) -> float | None:
        course, submissions, told = work / "course", work / "submissions", work / "points.json"
        self._hand_in(attack, submissions, work, course)
        options = f"-p autograder.bench.one_process --submission {_quoted(source_path(submissions, STUDENT))} --points {_quoted(told)}"
        suite = course / "autograder" / "hidden_tests" / f"test_{NAME}.py"
        line = f"{_quoted(sys.executable)} -m pytest {_quoted(suite)} -q --tb=short -p no:cacheprovider --rootdir {_quoted(course)} {options}"
        self._run([line] * (1 + attack.twice), work, work)
        return _sum(lambda: json.loads(told.read_text(encoding="utf-8")))

    def _otter(self, attack: Attack, work: Path) -> float | None:
        course, submissions, results = work / "course", work / "submissions", work / "results"
        self._hand_in(attack, submissions, work, course)
        results.mkdir()
        archive = otter_archive(work)
        line = f"{_quoted(self._python)} -m otter run --no-logo -a {_quoted(archive)} -o {_quoted(results)}"
        self._run([f"{line} {_quoted(source_path(submissions, STUDENT))}"] * (1 + attack.twice), work, work)
        return _sum(lambda: otter_points(results / "results.json"))

    def _nbgrader(self, attack: Attack, work: Path) -> float | None:
        root = work / "class"
        root.mkdir()
        (root / "nbgrader_config.py").write_text(CONFIG.format(root=str(root)), encoding="utf-8")
        reference = (REFERENCES / f"{NAME}.py").read_text(encoding="utf-8")
        handed = make_notebook(attack.source(_places(work, work / "course")))
        _write(root / "source" / NAME / f"{NAME}.ipynb", make_notebook(reference))
        _write(root / "submitted" / CLASSMATE / NAME / f"{NAME}.ipynb", make_notebook(_classmates_work()))
        _write(root / "submitted" / STUDENT / NAME / f"{NAME}.ipynb", attack.change(handed) if attack.change else handed)
        tool = f"{_quoted(self._python)} -m nbgrader"
        autograde = f"{tool} autograde {NAME} --student {STUDENT} --force"
        self._run([f"{tool} generate_assignment {NAME}", *[autograde] * (1 + attack.twice)], root, work)
        command = [str(self._python), "-c", _READ_POINTS, f"sqlite:///{root / 'gradebook.db'}", NAME, STUDENT]
        done = subprocess.run(command, cwd=work, env=_environment(REPOSITORY), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None
        return _sum(lambda: json.loads(done.stdout.strip().splitlines()[-1]))

    def _hand_in(self, attack: Attack, submissions: Path, work: Path, course: Path) -> None:
        texts = {STUDENT: attack.source(_places(work, course)), CLASSMATE: _classmates_work()}
        for student, text in texts.items():
            path = source_path(submissions, student)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def _run(self, lines: list[str], folder: Path, work: Path) -> None:
        run_confined(script(lines, work / "run.sh"), _environment(work / "course", work), folder, work, _SECONDS, log=work / "log")


def _classmates_work() -> str:
    """A right solution that is not the reference."""
    path = sorted((REPOSITORY / "tests" / "alternative_solutions" / NAME).glob("*.py"))[0]
    return f"{path.read_text(encoding='utf-8')}\n# {_CANARY_OF_CLASSMATE}\n"


def _leaks(drop: Path) -> tuple[str, ...]:
    told = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in drop.rglob("*") if path.is_file() and not path.is_symlink())
    return tuple(what for what, words in _HIDDEN.items() if any(word in told for word in words))


def _places(work: Path, course: Path) -> dict[str, str]:
    return {"DROP": str(work / "drop"), "REPOSITORY": str(course)}


def _environment(course: Path, work: Path | None = None) -> dict[str, str]:
    own = {} if work is None else {"HOME": str(work / "home"), "JUPYTER_CONFIG_DIR": str(work / "jupyter"), "IPYTHONDIR": str(work / "ipython")}
    return environment(PYTHONPATH=str(course), GRADING_SECRET=_CANARY_OF_ENVIRONMENT, **own)


def _sum(read: Callable[[], dict[str, Any]]) -> float | None:
    """What is there of the manifest's tests, none above its worth: result files may be forged without measure."""
    try:
        found = read()
        return sum(min(float(found.get(test.id, 0.0)), test.points) for test in hidden_tests())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(path: Path, notebook: Notebook) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def _quoted(path: str | Path) -> str:
    return shlex.quote(str(path))
