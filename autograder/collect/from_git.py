"""Submissions in git repositories anywhere: any forge's address, or bare repositories on disk. No API, and no checkout.

Git keeps no record of when a push arrived, and a commit's own date is the student's to choose. So the time that counts is that
of the first collection which saw a commit: run it when the assignment is due.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from autograder.collect.model import CollectError, Files, Place, PlaceError, Version
from autograder.reports.text import one_line

_SECONDS = 120
_ADDRESS = re.compile(r"(https?|ssh|git)://[^\s]+|[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:[^\s]+")
_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
# Nothing of a fetched repository may run here, and no submodule or other transport may be followed.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.http.allow=always",
    "protocol.ssh.allow=always",
    "protocol.git.allow=always",
    "protocol.file.allow=always",
    "transfer.fsckObjects=true",
    "gc.auto=0",
    "fetch.recurseSubmodules=false",
    "advice.detachedHead=false",
)


class GitSource:
    """`places`: a student's repository by address or path. `cache` keeps one bare repository each, so that a second run fetches what is new."""

    def __init__(self, places: Sequence[Place], cache: Path, now: Callable[[], datetime], seen: Callable[[Place], Sequence[Version]]) -> None:
        if shutil.which("git") is None:
            raise CollectError("git is not installed")
        self._places = [Place(place.student, _address(place.where)) for place in places]
        self._cache = cache
        self._now = now
        self._seen = seen

    def places(self) -> Sequence[Place]:
        return self._places

    def versions(self, place: Place) -> Sequence[Version]:
        """What earlier collections saw, and the head of now when it is new."""
        seen = list(self._seen(place))
        head = self._head(place)
        if head and (not seen or seen[-1].id != head):
            seen.append(Version(head, self._now()))
        return seen

    def files(self, place: Place, version: Version, paths: Iterable[str], max_bytes: int) -> Files:
        self._fetch(place, version.id)
        contents: dict[str, bytes] = {}
        notes = []
        listed = self._git(place, "ls-tree", "-z", "-r", "--full-tree", version.id, "--", *sorted(paths)).split(b"\0")
        for line in filter(None, listed):
            about, _, name = line.partition(b"\t")
            mode, _kind, digest = about.decode("ascii").split(" ")[:3]
            path = name.decode("utf-8", "replace")
            if mode not in ("100644", "100755"):
                notes.append(f"{path} is no plain file and was left out")
                continue
            contents[path] = self._blob(place, digest, max_bytes + 1)
        return Files(contents, tuple(notes))

    def _head(self, place: Place) -> str:
        """The SHA of HEAD, "" for an empty repository."""
        answer = self._git(place, "ls-remote", "--", place.where, "HEAD").decode("ascii", "replace").split()
        return answer[0] if answer and _SHA.fullmatch(answer[0]) else ""

    def _fetch(self, place: Place, commit: str) -> None:
        if self._run(place, ["cat-file", "-e", f"{commit}^{{commit}}"]).returncode == 0:
            return
        self._git(place, "fetch", "--quiet", "--no-tags", "--depth=1", "--", place.where, commit)

    def _blob(self, place: Place, digest: str, max_bytes: int) -> bytes:
        with subprocess.Popen(
            self._command(place, ["cat-file", "blob", digest]), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
        ) as process:
            assert process.stdout is not None
            data = process.stdout.read(max_bytes)
            process.kill()
        return data

    def _repository(self, place: Place) -> Path:
        folder = self._cache / hashlib.sha256(place.where.encode()).hexdigest()[:24]
        if not (folder / "HEAD").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            done = subprocess.run(["git", "init", "--quiet", "--bare", str(folder)], capture_output=True, env=_environment(), check=False)
            if done.returncode != 0:
                raise CollectError(f"git cannot make a repository in {folder}: {_last_line(done.stderr)}")
        return folder

    def _command(self, place: Place, arguments: Sequence[str]) -> list[str]:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        return ["git", *settings, "--git-dir", str(self._repository(place)), *arguments]

    def _run(self, place: Place, arguments: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                self._command(place, arguments), capture_output=True, env=_environment(), stdin=subprocess.DEVNULL, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise PlaceError(f"{_shown(place.where)} did not answer within {_SECONDS} s") from None

    def _git(self, place: Place, *arguments: str) -> bytes:
        done = self._run(place, arguments)
        if done.returncode != 0:
            raise PlaceError(f"{_shown(place.where)} cannot be read: {_last_line(done.stderr)}")
        return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file"}


def _address(where: str) -> str:
    if _ADDRESS.fullmatch(where):
        return where
    path = Path(where)
    if where.startswith("-") or "://" in where or not path.is_dir():
        raise CollectError(f"{_shown(where)!r} is neither the address of a git repository nor a folder")
    return str(path.resolve())


def _shown(where: str) -> str:
    """An address without the password that it may hold."""
    return one_line(re.sub(r"//[^/@]*@", "//", where), 120)


def _last_line(stderr: bytes) -> str:
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return _shown(lines[-1]) if lines else "git says nothing"
