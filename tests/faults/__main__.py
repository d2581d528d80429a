"""`python -m tests.faults [--kills N] [--victims N] [--cold] [--seed N]`: kill graders at random moments and look at what becomes of the grades."""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parents[1]), str(FOLDER)]


def main() -> int:
    """Exit code 1 when a grade was lost, there twice or another than that of an undisturbed run, or a process was left."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Kill graders at random moments; compare with an undisturbed run.")
    parser.add_argument("--kills", type=int, default=0, help="runs to kill with SIGKILL, each then resumed (and killed again, up to eight times)")
    parser.add_argument("--victims", type=int, default=0, help="processes to kill below a run that goes on: jobs, zygotes, workers")
    parser.add_argument("--cold", action="store_true", help="start each run as a new program: half of its time is then Python's imports")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    from graded_class import GradedClass, orphans_come_here

    with orphans_come_here(), tempfile.TemporaryDirectory(prefix="f") as folder:
        trial = Trial(GradedClass.make(Path(folder) / "c"), random.Random(options.seed), not options.cold)
        trial.kill_runs(options.kills)
        trial.kill_helpers(options.victims)
    return 1 if trial.failures else 0


class Trial:
    def __init__(self, graded, chance: random.Random, warm: bool) -> None:
        self.graded, self.chance, self.warm = graded, chance, warm
        self.failures: list[str] = []
        for _ in range(2):  # the first one imports everything
            graded.forget()
            started = time.monotonic()
            code, out = graded.start(warm=warm).finish()
            self.seconds = time.monotonic() - started
            if code:
                raise SystemExit(f"the undisturbed run failed:\n{out}")
        self.expected = graded.grades()
        print(f"an undisturbed run takes {self.seconds:.1f} s", flush=True)

    def kill_runs(self, kills: int) -> None:
        done, resumed, pairs = 0, 0, 0
        phases: Counter[str] = Counter()
        started = time.monotonic()
        while done < kills:
            self.graded.forget()
            kept: dict[str, bytes] = {}
            for _ in range(min(self.chance.randint(1, 8), kills - done)):
                run = self.graded.start(warm=self.warm)
                self._pass_some_time(run.ended)
                whole_group = self.chance.random() < 0.5
                if not run.kill(whole_group):
                    break
                done += 1
                phases[self.graded.phase()] += 1
                self._check("a process is left", run.all_ended())
                now = self.graded.reports()
                self._check("a report that was there is gone or changed", now.items() >= kept.items())
                self._check("the gradebook is torn", self.graded.gradebook_is_whole())
                kept = now
            both = self.chance.random() < 0.25
            self._resume(kept, both)
            resumed, pairs = resumed + 1, pairs + both
            if resumed % 5 == 0 or done >= kills:
                print(f"{done} kills, {resumed} resumed to the end, {len(self.failures)} failures, {time.monotonic() - started:.0f} s", flush=True)
        if kills:
            print(f"{done} runs killed; {resumed} resumed to the end, {pairs} of these by two graders at once; {len(self.failures)} failures")
            print("killed when there was: " + ", ".join(f"{phase} {count}" for phase, count in sorted(phases.items())))

    def kill_helpers(self, victims: int) -> None:
        done, codes = 0, Counter[int]()
        while done < victims:
            self.graded.forget()
            run = self.graded.start(warm=self.warm)
            self._pass_some_time(run.ended)
            helpers = sorted(run.helpers())
            if helpers and not run.ended():
                with suppress(ProcessLookupError):
                    os.kill(self.chance.choice(helpers), signal.SIGKILL)
                    done += 1
            code, out = run.finish()
            codes[code or 0] += 1
            self._check("a process is left", run.all_ended())
            if code:
                self._check(f"no clear message: {out[-600:]}", "error: " in out and "Traceback" not in out)
            self._resume(self.graded.reports(), both=False, layers=False)
        if victims:
            print(f"{done} helpers killed; runs ended with {dict(codes)} and were resumed; {len(self.failures)} failures")

    def _pass_some_time(self, ended: Callable[[], bool]) -> None:
        until = time.monotonic() + self.chance.uniform(0, self.seconds)
        while time.monotonic() < until and not ended():
            time.sleep(0.002)

    def _resume(self, kept: dict[str, bytes], both: bool, layers: bool = True) -> None:
        """layers: whether the layers of isolation must be those of the undisturbed run; they are fewer when bubblewrap is killed as it starts."""
        runs = [self.graded.start(warm=self.warm) for _ in range(1 + both)]
        for run in runs:
            code, out = run.finish()
            self._check(f"the resumed run failed: {out[-600:]}", code == 0)
        self._check("a process is left", all(run.all_ended() for run in runs))
        now = self.graded.reports()
        if not both:
            self._check("a report that was there is gone or changed", now.items() >= kept.items())
        try:
            found, expected = self.graded.grades(), self.expected
            if not layers:
                found, expected = _without_layers(found), _without_layers(expected)
        except (AssertionError, OSError) as error:
            self._check(f"the grades cannot be read: {error}", False)
            return
        other = [f"{name}: {_difference(found[name], expected[name])}" for name in found if found[name] != expected[name]]
        self._check(f"not as undisturbed: {'; '.join(other)}", not other)

    def _check(self, failure: str, good: bool) -> None:
        if not good:
            self.failures.append(failure)
            print(f"FAILED: {failure}", flush=True)


def _without_layers(grades: dict[str, Any]) -> dict[str, Any]:
    reports = {student: {key: value for key, value in report.items() if key != "sandbox"} for student, report in grades["reports"].items()}
    rows = [[cell for name, cell in row.items() if name != "sandbox"] for row in csv.DictReader(grades["csv"].splitlines())]
    return {**grades, "reports": reports, "csv": rows}


def _difference(found: object, expected: object) -> str:
    """Where two snapshots of grades part, to be read by whoever looks for the cause."""
    if isinstance(found, dict) and isinstance(expected, dict):
        parts = [
            f"{key}: {_difference(found.get(key), expected.get(key))}"
            for key in found.keys() | expected.keys()
            if found.get(key) != expected.get(key)
        ]
        return ", ".join(parts)[:1000]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return ", ".join(_difference(a, b) for a, b in zip(found, expected, strict=True) if a != b)[:1000]
    return f"{str(found)[:300]} instead of {str(expected)[:300]}"


if __name__ == "__main__":
    raise SystemExit(main())
