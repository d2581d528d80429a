"""One grading of a class by the command, in surroundings of its own, and its reports without what is allowed to differ."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from autograder.grading.paths import REPOSITORY
from tests.determinism.handed_in import SUBMISSIONS, hand_in

# Measured, by a clock or by the kernel.
MEASURED = ("graded_at", "wall_seconds", "cpu_seconds", "peak_memory_bytes")
# What was asked for: the student's name decides the order here; isolation and the name of the report's file follow --sandbox.
ASKED = ("student", "sandbox", "fingerprint")
ALL = tuple(SUBMISSIONS)
SANDBOXES = ("all layers", "no bubblewrap", "best", "off")


@dataclass(frozen=True)
class Surroundings:
    """Everything about a run that no grade may depend on."""

    sandbox: str
    jobs: int
    order: tuple[str, ...]
    hash_seed: int
    threads: int
    locale: str
    time_zone: str
    umask: int

    @classmethod
    def drawn(cls, number: int, titles: tuple[str, ...], sandboxes: tuple[str, ...] = SANDBOXES) -> Surroundings:
        random = Random(number)
        order = list(titles)
        random.shuffle(order)
        return cls(
            sandbox=sandboxes[number // 2 % len(sandboxes)],
            jobs=1 + number % 2,
            order=tuple(order),
            hash_seed=number,
            threads=random.choice((1, 2, 8)),
            locale=random.choice(("C", "C.UTF-8", "POSIX", "tr_TR.UTF-8")),
            time_zone=random.choice(("UTC", "Asia/Seoul", "America/St_Johns")),
            umask=random.choice((0o022, 0o077, 0o002)),
        )


def graded(surroundings: Surroundings) -> dict[str, dict[str, Any]]:
    """The reports by title, whole."""
    with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryDirectory() as elsewhere:
        folder = Path(temporary)
        titles = hand_in(folder, list(surroundings.order))
        mode = {"all layers": "require", "no bubblewrap": "require"}.get(surroundings.sandbox, surroundings.sandbox)
        arguments = ["grade", str(folder / "submissions"), "--course", str(folder / "course.toml"), "--results", str(folder / "results")]
        arguments += ["--gradebook", "none", "--jobs", str(surroundings.jobs), "--sandbox", mode]
        finished = subprocess.run(
            [sys.executable, "-m", "autograder", *arguments],
            env=_environment(surroundings, elsewhere),
            cwd=elsewhere,
            umask=surroundings.umask,
            capture_output=True,
            text=True,
        )
        found = {}
        for marker in (folder / "results").glob("*/*/current"):
            report = json.loads((marker.parent / f"{marker.read_text().strip()}.json").read_text(encoding="utf-8"))
            title = titles.get((report["student"], report["assignment"]))
            if title is not None:  # else nothing was handed in
                found[title] = report
        if found.keys() != set(surroundings.order):
            raise RuntimeError(f"grading left reports out: exit code {finished.returncode}\n{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}")
        return found


def _environment(surroundings: Surroundings, elsewhere: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("HOME", "LD_LIBRARY_PATH") if name in os.environ}
    with_bubblewrap = os.environ.get("PATH", os.defpath)
    threads = str(surroundings.threads)
    return kept | {
        "PATH": elsewhere if surroundings.sandbox == "no bubblewrap" else with_bubblewrap,
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONHASHSEED": str(surroundings.hash_seed),
        "AUTOGRADER_SECRET": "the same for all runs",
        "TMPDIR": elsewhere,
        "LANG": surroundings.locale,
        "LC_ALL": surroundings.locale,
        "TZ": surroundings.time_zone,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }


def bytes_to_compare(report: dict[str, Any]) -> bytes:
    """As it is stored, but for MEASURED and ASKED."""
    kept = {key: value for key, value in report.items() if key not in MEASURED + ASKED}
    return json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False).encode()


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where two reports differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key not in MEASURED + ASKED:
                yield from differences(one.get(key), other.get(key), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for position, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from differences(a, b, f"{path}[{position}]")
    elif one != other:
        yield f"{path.lstrip('.')}: {one!r} / {other!r}"
