"""Cut a class into shards that other machines grade: each holds submissions that changed, and for each the seed of its inputs.

A machine that grades a shard needs no secret of the course and no earlier result, and has none to lose.

    shards/01/submissions/<student>/NN_name/…      as collected
    shards/01/seeds.json                           {"<student>": {"NN_name": "<seed>"}}
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from autograder.course.course import Course
from autograder.grading.task import Task
from autograder.submissions.find import SubmissionsError

SEEDS = "seeds.json"
_MAX_BYTES = 16 << 20
_SEED = re.compile(r"[0-9a-f]{32}")


def write_shards(tasks: Sequence[Task], course: Course, submissions: Path, out: Path, size: int) -> list[str]:
    """The shards' names. `out` must not exist yet, or be empty. A student's submissions stay together where they fit."""
    if out.exists() and any(out.iterdir()):
        raise SubmissionsError(f"{out} is not empty; name a new folder for the shards")
    names = []
    for number, part in enumerate(_parts(tasks, size), 1):
        name = f"{number:03}"
        folder = out / name
        seeds: dict[str, dict[str, str]] = {}
        for task in part:
            seeds.setdefault(task.student, {})[task.assignment] = task.seed
            target = folder / "submissions" / task.student / task.assignment
            target.mkdir(parents=True)
            for wanted in (f"{task.name}.py", f"{task.name}.ipynb", "timestamp.txt"):
                source = submissions / task.student / task.assignment / wanted
                if source.is_file() and not source.is_symlink():
                    shutil.copyfile(source, target / wanted, follow_symlinks=False)
        (folder / SEEDS).write_text(json.dumps(seeds, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        names.append(name)
    return names


def load_seeds(path: Path) -> Mapping[tuple[str, str], str]:
    """By student and assignment. Raises SubmissionsError."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large")
        raw = json.loads(path.read_text(encoding="utf-8"))
        found = {(student, assignment): seed for student, of in raw.items() for assignment, seed in of.items()}
        if not all(isinstance(seed, str) and _SEED.fullmatch(seed) for seed in found.values()):
            raise ValueError("a seed is 32 hex digits")
    except OSError as error:
        raise SubmissionsError(f"the seeds {path} cannot be read: {error.strerror}") from None
    except (ValueError, AttributeError) as error:
        raise SubmissionsError(f"{path} holds no seeds: {error}; `autograder shard` writes them") from None
    return found


def _parts(tasks: Sequence[Task], size: int) -> list[list[Task]]:
    parts: list[list[Task]] = []
    by_student: dict[str, list[Task]] = {}
    for task in tasks:
        by_student.setdefault(task.student, []).append(task)
    for own in by_student.values():
        if not parts or len(parts[-1]) + len(own) > size:
            parts.append([])
        parts[-1] += own
    return parts
