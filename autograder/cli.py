"""The command line: parses, calls, and says in a sentence what could not be done."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from autograder.cli_arguments import build_parser

EXIT_CANNOT = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 done with problems, 2 could not be done, 130 stopped by Ctrl-C."""
    options = build_parser().parse_args(arguments)
    try:
        code = _CALLS[options.verb](options)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("autograder"):
            raise
        print(f"error: {error.name} is not installed: `make grade-env` installs all that grading, collecting and posting need", file=sys.stderr)
        return EXIT_CANNOT
    except _expected_errors() as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CANNOT
    return code


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
        seeds=options.seeds,
    )
    return grade(wanted, Console())


def _collect(options: argparse.Namespace) -> int:
    from rich.console import Console

    from autograder.commands.collect import CollectOptions, collect

    wanted = CollectOptions(
        submissions=options.submissions,
        course=options.course,
        roster=options.roster,
        assignment=options.assignment,
        students=options.student,
        until=options.until,
        github=options.github,
        organisation=options.organisation,
        prefix=options.prefix,
        git=options.git if options.git != Path() else None,
        folder=options.folder,
        zip=options.zip,
        api=options.api,
    )
    return collect(wanted, Console())


def _shard(options: argparse.Namespace) -> int:
    from rich.console import Console

    from autograder.commands.shard import ShardOptions, shard

    names = ("submissions", "out", "course", "results", "size", "roster", "assignment", "sandbox", "force", "matrix")
    return shard(ShardOptions(students=options.student, **{name: getattr(options, name) for name in names}), Console())


def _post(options: argparse.Namespace) -> int:
    from rich.console import Console

    from autograder.commands.post import PostOptions, post

    names = ("submissions", "course", "results", "roster", "assignment", "way", "dry_run", "api")
    return post(
        PostOptions(incoming=tuple(options.incoming), students=options.student, **{name: getattr(options, name) for name in names}), Console()
    )


def _ledger(options: argparse.Namespace) -> int:
    from rich.console import Console

    from autograder.commands.ledger import ledger

    return ledger(options.direction, options.results, options.remote, options.branch, Console())


def _publish(options: argparse.Namespace) -> int:
    from rich.console import Console

    from autograder.commands.grade import republish

    return republish(options.course, options.results, options.gradebook, options.roster, Console())


def _formgrader(options: argparse.Namespace) -> int:
    from rich.console import Console

    from autograder.commands.formgrader import FormgraderOptions, formgrader

    names = ("submissions", "course", "results", "gradebook", "roster", "folder", "port", "prepare_only")
    return formgrader(FormgraderOptions(**{name: getattr(options, name) for name in names}), Console())


def _export(options: argparse.Namespace) -> int:
    from rich.console import Console

    from autograder.commands.export import ExportOptions, export

    settings = {name: getattr(options, name) for name in ("missing", "ungraded", "key", "visibility", "wide")}
    settings["template"] = str(options.template) if options.template is not None else None
    settings["columns"] = dict(options.column) if options.column else None
    wanted = ExportOptions(
        target=options.target,
        course=options.course,
        gradebook=options.gradebook,
        roster=options.roster,
        to=options.to,
        assignments=tuple(options.assignment),
        settings=settings,
    )
    return export(wanted, Console())


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


def _release(options: argparse.Namespace) -> int:
    from autograder.release.release import check, release

    if options.check:
        return check(options.course, options.out)
    return release(options.course, options.out, options.assignment)


def _check(options: argparse.Namespace) -> int:
    from autograder.checking.check import main as check

    return check(options.assignments)


_CALLS: dict[str, Callable[[argparse.Namespace], int]] = {
    "grade": _grade,
    "collect": _collect,
    "shard": _shard,
    "post": _post,
    "ledger": _ledger,
    "publish": _publish,
    "formgrader": _formgrader,
    "export": _export,
    "replay": _replay,
    "doctor": _doctor,
    "verify": _verify,
    "release": _release,
    "check": _check,
}


def _expected_errors() -> tuple[type[BaseException], ...]:
    """Errors whose text is one sentence for the person at the terminal."""
    from autograder.collect.model import CollectError
    from autograder.commands.replay import ReplayError
    from autograder.course.course import CourseError
    from autograder.exports.model import ExportError
    from autograder.github.errors import GitHubError
    from autograder.gradebook.database import GradebookError
    from autograder.grading.seeds import SecretError
    from autograder.grading.suite_error import SuiteError
    from autograder.release.errors import ReleaseError
    from autograder.results.ledger import LedgerError
    from autograder.sandbox.errors import SandboxError, ZygoteDiedError
    from autograder.submissions.find import SubmissionsError

    return (
        CollectError,
        CourseError,
        ExportError,
        GitHubError,
        GradebookError,
        ReleaseError,
        ReplayError,
        SecretError,
        SuiteError,
        LedgerError,
        SandboxError,
        ZygoteDiedError,
        SubmissionsError,
    )


if __name__ == "__main__":
    sys.exit(main())
