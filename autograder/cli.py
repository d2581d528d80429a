"""The command line: parses and calls, nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

EXIT_CANNOT = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 done with problems, 2 could not be done, 130 stopped by Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except _expected_errors() as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CANNOT
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autograder", description="Grade a course on the Transformer where it cannot be fooled.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    grade = verbs.add_parser("grade", help="grade a class; what did not change is not graded again")
    grade.add_argument("submissions", type=Path, help="a folder that holds <student>/NN_name/name.py")
    grade.add_argument("--assignment", help='only this one: "01_attention", "attention" or "01"')
    grade.add_argument("--student", help="only this student's folder")
    grade.add_argument("--jobs", type=_positive, help="processes that grade at once (default: one a core)")
    grade.add_argument("--force", action="store_true", help="grade again what did not change")
    _add_sandbox(grade)
    _add_course(grade)
    grade.set_defaults(run=_grade)

    publish = verbs.add_parser("publish", help="write grades.csv, feedback, class report and gradebook again from the results")
    _add_course(publish)
    publish.set_defaults(run=_publish)

    replay = verbs.add_parser("replay", help="grade one submission again on the inputs of a report, and compare; nothing is written")
    replay.add_argument("report", type=Path, help="a JSON report, as named in the last column of grades.csv")
    replay.add_argument("submissions", type=Path, help="the folder that holds <student>/NN_name/name.py")
    replay.add_argument("--course", type=Path, default=Path("course.toml"))
    _add_sandbox(replay)
    replay.set_defaults(run=_replay)

    doctor = verbs.add_parser("doctor", help="what this machine gives for grading, what is missing and how to get it")
    doctor.add_argument("--course", type=Path, default=Path("course.toml"))
    doctor.set_defaults(run=_doctor)

    verify = verbs.add_parser("verify", help="prove the hidden suites: right solutions pass, every known mistake fails and is named")
    verify.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="default: all")
    verify.add_argument("--course", type=Path, default=Path("course.toml"))
    verify.add_argument("--jobs", type=_positive)
    verify.add_argument("--no-docs", action="store_true", help="do not write docs/kill_matrix")
    verify.set_defaults(run=_verify)

    check = verbs.add_parser("check", help="a student's public tests, in words")
    check.add_argument("assignments", nargs="*", metavar="ASSIGNMENT")
    check.set_defaults(run=_check)
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


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value


def _grade(options: argparse.Namespace) -> int:
    from rich.console import Console

    from autograder.commands.grade import GradeOptions, grade

    wanted = GradeOptions(
        submissions=options.submissions,
        course=options.course,
        results=options.results,
        assignment=options.assignment,
        student=options.student,
        jobs=options.jobs,
        sandbox=options.sandbox,
        gradebook=options.gradebook,
        roster=options.roster,
        force=options.force,
    )
    return grade(wanted, Console())


def _publish(options: argparse.Namespace) -> int:
    from rich.console import Console

    from autograder.commands.grade import republish

    return republish(options.course, options.results, options.gradebook, options.roster, Console())


def _replay(options: argparse.Namespace) -> int:
    from rich.console import Console

    from autograder.commands.replay import replay

    return replay(options.report, options.submissions, options.course, options.sandbox, Console())


def _doctor(options: argparse.Namespace) -> int:
    from autograder.commands.course_check import check_course
    from autograder.sandbox import doctor

    findings = [*doctor.diagnose(), *check_course(options.course)]
    doctor.render(findings)
    return 0 if all(finding.ok for finding in findings if finding.name in ("--sandbox require", "course.toml")) else 1


def _verify(options: argparse.Namespace) -> int:
    from autograder.authoring.verify import verify_course

    return verify_course(options.course, options.assignments, options.jobs, write_docs=not options.no_docs)


def _check(options: argparse.Namespace) -> int:
    from autograder.checking.check import main as check

    return check(options.assignments)


def _expected_errors() -> tuple[type[BaseException], ...]:
    """Errors whose text is one sentence for the person at the terminal."""
    from autograder.commands.replay import ReplayError
    from autograder.course.course import CourseError
    from autograder.grading.seeds import SecretError
    from autograder.grading.suite_error import SuiteError
    from autograder.results.ledger import LedgerError
    from autograder.sandbox.errors import SandboxError, ZygoteDiedError
    from autograder.submissions.find import SubmissionsError

    return (CourseError, ReplayError, SecretError, SuiteError, LedgerError, SandboxError, ZygoteDiedError, SubmissionsError)


if __name__ == "__main__":
    sys.exit(main())
