"""A large class over all assignments, the same on each run: right, wrong, empty, broken, and some that never end."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path

from autograder.authoring.stubs import stub_source
from autograder.course.course import Course
from autograder.grading.paths import REFERENCES, REPOSITORY
from autograder.misconceptions.bank import load_bank

LOOP_SHARE = 0.05
_IN_A_ROW = 10
_SEED = 20_000

# What never ends. {name} is the callable of the submission that it takes the place of.
LOOPS = {
    "at import": "while True:\n    pass\n",
    "in a function": "def _endless(*args, **kwargs):\n    while True:\n        pass\n\n\n{name} = _endless\n",
    "inside C": "def _endless(*args, **kwargs):\n    return sum(iter(int, 1))\n\n\n{name} = _endless\n",
    "asleep": "import time\n\n\ndef _endless(*args, **kwargs):\n    while True:\n        time.sleep(1000)\n\n\n{name} = _endless\n",
    "with signals blocked": (
        "import signal\n\nfor _number in set(signal.Signals) - {{signal.SIGKILL, signal.SIGSTOP}}:\n    signal.signal(_number, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))\n\n\n"
        "def _endless(*args, **kwargs):\n    while True:\n        pass\n\n\n{name} = _endless\n"
    ),
    "starting processes": (
        "import os\nimport subprocess\n\n\ndef _endless(*args, **kwargs):\n    while True:\n        try:\n"
        "            if os.fork() == 0:\n                continue\n            subprocess.Popen(['sleep', '1000'])\n"
        "        except OSError:\n            pass\n\n\n{name} = _endless\n"
    ),
    "in threads": (
        "import threading\n\n\ndef _spin():\n    while True:\n        pass\n\n\ndef _endless(*args, **kwargs):\n"
        "    threading.Thread(target=_spin).start()\n    _spin()\n\n\n{name} = _endless\n"
    ),
    "catching everything": (
        "def _endless(*args, **kwargs):\n    while True:\n        try:\n            while True:\n                pass\n"
        "        except BaseException:\n            pass\n\n\n{name} = _endless\n"
    ),
}
_BROKEN: dict[str, Callable[[str], str]] = {
    "not Python": lambda text: text[: len(text) // 2] + "\ndef (:\n",
    "raises when loaded": lambda text: text + "\nraise RuntimeError('unfinished')\n",
    "does not import": lambda text: "import a_package_that_nobody_has\n" + text,
    "empty": lambda text: "",
    "not a text": lambda text: text.replace("import", "\0import", 1),
}


@dataclass(frozen=True)
class Handed:
    """One file. `kind` is "right", "wrong", "stub", "broken" or "loop"; `form` says which, and names equal sources of an assignment."""

    student: str
    assignment: str
    kind: str
    form: str
    source: str

    @property
    def path(self) -> Path:
        """Below the class's folder."""
        return Path(self.student, self.assignment, f"{self.assignment.split('_', 1)[1]}.py")


def class_of(size: int, course: Course) -> list[Handed]:
    """Students hand in every assignment. One file in 20 never ends, ten of these in a row; the others take turns."""
    chance = random.Random(_SEED)
    folders = [assignment.folder for assignment in course.assignments]
    turns = {folder: _in_turn(folder) for folder in folders}
    endless = _endless_places(size, chance)
    forms = cycle(LOOPS)
    found = []
    for place in range(size):
        student, folder = f"student{place // len(folders) + 1:04}", folders[place % len(folders)]
        if place in endless:
            kind, form = "loop", next(forms)
            source = _loop(folder, form, chance)
        else:
            kind, form, source = next(turns[folder])
        found.append(Handed(student, folder, kind, form, f"{source.rstrip()}\n\n# {student}\n" if source else ""))
    return found


def write_class(handed: list[Handed], folder: Path) -> None:
    """Files that are there already keep their times."""
    for entry in handed:
        path = folder / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != entry.source:
            path.write_text(entry.source, encoding="utf-8")


def _endless_places(size: int, chance: random.Random) -> set[int]:
    count = max(1, round(size * LOOP_SHARE))
    in_a_row = min(count // 2, _IN_A_ROW)
    first = size // 10
    row = set(range(first, first + in_a_row))
    others = [place for place in range(size) if place not in row]
    return row | set(chance.sample(others, count - in_a_row))


def _in_turn(folder: str) -> Iterator[tuple[str, str, str]]:
    """Kind, form and source for ever: of every four files two are right, one holds a known mistake, one is anything."""
    name = folder.split("_", 1)[1]
    reference = _reference(name)
    alternatives = sorted((REPOSITORY / "tests" / "alternative_solutions" / name).glob("*.py"))
    right = cycle([("right", "reference", reference), *(("right", path.stem, path.read_text(encoding="utf-8")) for path in alternatives)])
    wrong = cycle([("wrong", entry.name, entry.apply(reference)) for entry in load_bank(name)])
    broken = cycle([("broken", form, change(reference)) for form, change in _BROKEN.items()])
    stub = ("stub", "stub", stub_source(reference))
    while True:
        yield next(right)
        yield next(wrong)
        yield next(right)
        yield stub
        yield next(right)
        yield next(wrong)
        yield next(right)
        yield next(broken)


def _loop(folder: str, form: str, chance: random.Random) -> str:
    name = folder.split("_", 1)[1]
    return f"{_reference(name).rstrip()}\n\n\n{LOOPS[form].format(name=chance.choice(_callables(name)))}"


@cache
def _reference(name: str) -> str:
    return (REFERENCES / f"{name}.py").read_text(encoding="utf-8")


@cache
def _callables(name: str) -> tuple[str, ...]:
    """Functions, and the `forward` of classes that have one."""
    found = []
    for node in ast.parse(_reference(name)).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            found.append(node.name)
        elif isinstance(node, ast.ClassDef) and any(isinstance(part, ast.FunctionDef) and part.name == "forward" for part in node.body):
            found.append(f"{node.name}.forward")
    return tuple(found)
