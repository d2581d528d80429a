"""Keep the results folder on a branch of a git repository: for graders that begin on an empty machine each time.

Only reports and markers of which report counts are kept; everything else is derived from them.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autograder.reports.text import one_line
from autograder.results.atomic import LedgerError

BRANCH = "results"
_SECONDS = 300
_KEPT = ("[0-9][0-9]_*",)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class ResultsBranch:
    """`remote`: the repository's address or path. token: for HTTPS; it is handed to git by the environment, never in an argument."""

    remote: str
    branch: str = BRANCH
    token: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.branch) or self.remote.startswith("-") or not self.remote:
            raise LedgerError(f"{one_line(self.remote, 80)!r} and {self.branch!r} name no branch of a repository")

    def pull(self, folder: Path) -> int:
        """Lay the branch's files into `folder`, over what is there. Returns how many; 0 when there is no such branch yet."""
        with tempfile.TemporaryDirectory() as scratch:
            if not self._fetch(scratch):
                return 0
            folder.mkdir(parents=True, exist_ok=True)
            self._git(scratch, "read-tree", "FETCH_HEAD")
            self._git(scratch, "--work-tree", str(folder.resolve()), "-c", "core.symlinks=false", "checkout-index", "--all", "--force")
            return len(self._git(scratch, "ls-files", "-z").split("\0")) - 1

    def push(self, folder: Path, message: str) -> bool:
        """Add what `folder` holds to the branch. False when nothing is new. Raises LedgerError when somebody else pushed in between."""
        if not folder.is_dir():
            return False
        with tempfile.TemporaryDirectory() as scratch:
            known = self._fetch(scratch)
            if known:
                self._git(scratch, "read-tree", "FETCH_HEAD")
            present = [pattern for pattern in _KEPT if any(folder.glob(pattern))]
            if present:
                self._git(
                    scratch,
                    "--work-tree",
                    str(folder.resolve()),
                    "add",
                    "--force",
                    "--ignore-removal",
                    "--",
                    *(f":(glob){pattern}/**" for pattern in present),
                )
            tree = self._git(scratch, "write-tree").strip()
            if known and tree == self._git(scratch, "rev-parse", "FETCH_HEAD^{tree}").strip():
                return False
            parent = ("-p", "FETCH_HEAD") if known else ()
            commit = self._git(scratch, "commit-tree", tree, *parent, "-m", message).strip()
            self._git(scratch, "push", "--quiet", "--", self.remote, f"{commit}:refs/heads/{self.branch}")
            return True

    def _fetch(self, scratch: str) -> bool:
        self._git(scratch, "init", "--quiet", "--bare", ".")
        if not self._git(scratch, "ls-remote", "--heads", "--", self.remote, f"refs/heads/{self.branch}").strip():
            return False
        self._git(scratch, "fetch", "--quiet", "--no-tags", "--depth=1", "--", self.remote, f"refs/heads/{self.branch}")
        return True

    def _git(self, scratch: str, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ["git", "--git-dir", scratch, *arguments],
                cwd=scratch,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise LedgerError("git is not installed") from None
        except subprocess.TimeoutExpired:
            raise LedgerError(f"{self._shown} did not answer within {_SECONDS} s; run again") from None
        if done.returncode != 0:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["git says nothing"]
            advice = "; another run was faster: pull and push again" if "push" in arguments else ""
            raise LedgerError(f"the branch {self.branch!r} of {self._shown} cannot be used: {one_line(lines[-1], 160)}{advice}")
        return done.stdout.decode("utf-8", "surrogateescape")

    def _environment(self) -> Mapping[str, str]:
        identity = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "autograder"), ("EMAIL", "autograder@localhost"))
        }
        environment = {**os.environ, **identity, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        if self.token:
            basic = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
            environment |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{self.remote}.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
            }
        return environment

    @property
    def _shown(self) -> str:
        return one_line(re.sub(r"//[^/@]*@", "//", self.remote), 100)
