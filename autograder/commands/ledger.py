"""`autograder ledger pull|push`: bring the results from and to a branch of the course's own repository."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console

from autograder.github.tokens import TOKEN_VARIABLE
from autograder.results.atomic import LedgerError
from autograder.results.branch import ResultsBranch


def ledger(direction: str, results: Path, remote: str, branch: str, console: Console) -> int:
    """`remote` "" is the repository that a workflow runs in."""
    kept = ResultsBranch(remote or _own_repository(), branch, os.environ.get(TOKEN_VARIABLE, ""))
    if direction == "pull":
        count = kept.pull(results)
        console.print(
            f"{count} files fetched into {results}." if count else f"There is no branch {branch!r} yet: everything is graded.", highlight=False
        )
        return 0
    new = kept.push(results, "Results")
    console.print(f"Results are on the branch {branch!r}." if new else "Nothing is new.", highlight=False)
    return 0


def _own_repository() -> str:
    server, name = os.environ.get("GITHUB_SERVER_URL", ""), os.environ.get("GITHUB_REPOSITORY", "")
    if not server or not name:
        raise LedgerError("name the repository that keeps the results: --remote")
    return f"{server}/{name}.git"
