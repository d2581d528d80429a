"""The verbs of the command line and what each of them takes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def build_parser() -> argparse.ArgumentParser:
    """Its options hold the verb's name in `verb`."""
    parser = argparse.ArgumentParser(prog="autograder", description="Grade a course on the Transformer where it cannot be fooled.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    grade = verbs.add_parser("grade", help="grade a class; what did not change is not graded again")
    grade.add_argument("submissions", type=Path, help="a folder that holds <student>/NN_name/name.py")
    grade.add_argument("--assignment", help='only this one: "01_attention", "attention" or "01"')
    grade.add_argument("--student", help="only this student's folder")
    grade.add_argument("--jobs", type=_positive, help="processes that grade at once (default: one a core)")
    grade.add_argument("--force", action="store_true", help="grade again what did not change")
    grade.add_argument("--seeds", type=Path, help="a shard's seeds.json: grade its submissions without the course's secret")
    _add_sandbox(grade)
    _add_course(grade)

    collect = verbs.add_parser("collect", help="bring submissions in: from GitHub, git repositories, a folder or a zip file")
    collect.add_argument("submissions", type=Path, help="the folder to lay them in, as <student>/NN_name/name.py")
    places = collect.add_mutually_exclusive_group(required=True)
    places.add_argument("--github", action="store_true", help="the repositories of the roster, or of --organisation and --prefix")
    places.add_argument(
        "--git", type=Path, nargs="?", const=Path(), metavar="CSV", help="any git repositories: student,address; default: the roster's"
    )
    places.add_argument("--folder", type=Path, help="folders, one for each student")
    places.add_argument("--zip", type=Path, help="what Moodle, Canvas or Blackboard gives out for one --assignment")
    collect.add_argument("--organisation", default="", help="on GitHub: where the class's repositories are")
    collect.add_argument("--prefix", default="", help='on GitHub: what their names begin with, before the login: "transformer-"')
    collect.add_argument("--assignment", type=_or_all, help="only this one; empty: all")
    collect.add_argument("--student", type=_students, help="only this student's, or several's with commas between; empty: all")
    collect.add_argument("--until", default="due", help='"due": the last version by the due time and extension (default); "newest"; or a time')
    collect.add_argument("--course", type=Path, default=Path("course.toml"))
    collect.add_argument("--roster", type=Path, help="a CSV with the class's students")
    _add_api(collect)

    shard = verbs.add_parser("shard", help="cut what changed into shards that machines without secrets can grade")
    shard.add_argument("submissions", type=Path, help="a folder that holds <student>/NN_name/name.py")
    shard.add_argument("out", type=Path, help="a new folder for the shards")
    shard.add_argument("--size", type=_positive, default=60, help="submissions in one shard (default: 60)")
    shard.add_argument("--assignment", type=_or_all, help="only this one; empty: all")
    shard.add_argument("--student", type=_students, help="only this student's, or several's with commas between; empty: all")
    shard.add_argument("--force", action="store_true", help="also what did not change")
    shard.add_argument("--matrix", type=Path, help='append "shards=[...]" to this file, as a workflow\'s output')
    shard.add_argument("--results", type=Path, default=Path("results"), help="earlier results: what is there is not graded again")
    shard.add_argument("--course", type=Path, default=Path("course.toml"))
    shard.add_argument("--roster", type=Path, help="a CSV with the class's students")
    _add_sandbox(shard)

    post = verbs.add_parser("post", help="bring scores to the commits that were graded, on GitHub")
    post.add_argument("submissions", type=Path, help="the folder that `autograder collect` laid")
    post.add_argument("--incoming", type=Path, action="append", default=[], help="results of another machine, validated and kept first")
    post.add_argument("--as", dest="way", choices=("check", "status", "comment"), default="check", help="how a score is shown (default: check)")
    post.add_argument("--dry-run", action="store_true", help="print what would be posted, send nothing")
    post.add_argument("--assignment", type=_or_all, help="only this one; empty: all")
    post.add_argument("--student", type=_students, help="only this student's, or several's with commas between; empty: all")
    post.add_argument("--results", type=Path, default=Path("results"))
    post.add_argument("--course", type=Path, default=Path("course.toml"))
    post.add_argument("--roster", type=Path, help="a CSV with the class's students")
    _add_api(post)

    ledger = verbs.add_parser("ledger", help="keep the results on a branch of a git repository")
    ledger.add_argument("direction", choices=("pull", "push"))
    ledger.add_argument("--results", type=Path, default=Path("results"))
    ledger.add_argument("--remote", default="", help="the repository's address or path (default: the one that a workflow runs in)")
    ledger.add_argument("--branch", default="results")

    publish = verbs.add_parser("publish", help="write grades.csv, feedback, class report and gradebook again from the results")
    _add_course(publish)

    formgrader = verbs.add_parser("formgrader", help="open nbgrader's web pages on the gradebook, to grade questions by hand")
    formgrader.add_argument("submissions", type=Path, help="the folder that was graded")
    formgrader.add_argument("--folder", type=Path, help="nbgrader's course folder, made when needed (default: nbgrader_course beside the course)")
    formgrader.add_argument("--port", type=int, default=8888, help="on this machine, or the next that is free; 0: any (default: 8888)")
    formgrader.add_argument("--prepare-only", action="store_true", help="lay out the folder and start nothing")
    _add_course(formgrader)

    export = verbs.add_parser("export", help="bring grades out of the gradebook: for Canvas, Moodle or Gradescope, or one row per question")
    export.add_argument("target", choices=("canvas", "moodle", "gradescope", "questions"))
    export.add_argument("--to", type=Path, help="the file to write; for gradescope, the folder (default: named after the target)")
    export.add_argument("--template", type=Path, help="canvas: an exported gradebook; moodle: a grading worksheet; only our cells are filled in")
    export.add_argument("--assignment", action="append", default=[], help='only this one, and others when said again: "attention"')
    export.add_argument("--missing", choices=("blank", "zero"), help="nothing handed in (default: blank)")
    export.add_argument("--ungraded", choices=("blank", "partial"), help="what waits for a person (default: blank; partial: the points so far)")
    export.add_argument("--column", type=_column, action="append", metavar="NAME=TITLE", help="the title that an assignment has over there")
    export.add_argument("--key", choices=("email", "idnumber", "username"), help="moodle: what a user is found by (default: email)")
    export.add_argument("--visibility", choices=("visible", "after_due_date", "after_published", "hidden"), help="gradescope (default: visible)")
    export.add_argument("--wide", action="store_true", default=None, help="questions: a row per student")
    export.add_argument("--course", type=Path, default=Path("course.toml"), help="the course's description (default: course.toml)")
    export.add_argument("--gradebook", metavar="URL", help="nbgrader's database as an SQLAlchemy URL (default: gradebook.db beside the course)")
    export.add_argument("--roster", type=Path, help="a CSV with the class's students and their ids in other systems")

    replay = verbs.add_parser("replay", help="grade one submission again on the inputs of a report, and compare; nothing is written")
    replay.add_argument("report", type=Path, help="a JSON report, as named in the last column of grades.csv")
    replay.add_argument("submissions", type=Path, help="the folder that holds <student>/NN_name/name.py")
    replay.add_argument("--course", type=Path, default=Path("course.toml"))
    _add_sandbox(replay)

    doctor = verbs.add_parser("doctor", help="what this machine gives for grading, what is missing and how to get it")
    doctor.add_argument("--course", type=Path, default=Path("course.toml"))

    verify = verbs.add_parser("verify", help="prove the hidden suites: right solutions pass, every known mistake fails and is named")
    verify.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="default: all")
    verify.add_argument("--course", type=Path, default=Path("course.toml"))
    verify.add_argument("--jobs", type=_positive)
    verify.add_argument("--no-docs", action="store_true", help="do not write docs/kill_matrix")

    release = verbs.add_parser("release", help="write or update the repository that students get, or look for what it must not hold")
    release.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder, or one that was released to before")
    release.add_argument("--assignment", nargs="+", action="extend", default=[], metavar="NAME", help="exactly these (default: all)")
    release.add_argument("--check", action="store_true", help="write nothing; look through a folder for what students must not get")
    release.add_argument("--course", type=Path, default=Path("course.toml"))

    check = verbs.add_parser("check", help="a student's public tests, in words")
    check.add_argument("assignments", nargs="*", metavar="ASSIGNMENT")
    return parser


def _add_sandbox(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sandbox",
        choices=("require", "best", "off"),
        default="require" if sys.platform == "linux" else "best",
        help="require: refuse to grade without full isolation (default on Linux); best: what this machine gives; off: a separate process only",
    )


def _add_course(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--course", type=Path, default=Path("course.toml"), help="the course's description (default: course.toml)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="the folder of the reports (default: results)")
    parser.add_argument(
        "--gradebook", metavar="URL", help='nbgrader\'s database as an SQLAlchemy URL, or "none" (default: gradebook.db beside the course)'
    )
    parser.add_argument("--roster", type=Path, help="a CSV with the class's students")


def _add_api(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--api", default="https://api.github.com", metavar="URL", help="GitHub's API; an Enterprise server has its own")


def _or_all(text: str) -> str | None:
    return text or None


def _students(text: str) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in text.split(",") if name.strip()) or None


def _column(text: str) -> tuple[str, str]:
    name, separator, title = text.partition("=")
    if not separator or not name.strip() or not title.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=TITLE, like 01_attention='Attention (123)'")
    return name.strip(), title.strip()


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value
