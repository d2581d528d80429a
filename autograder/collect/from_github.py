"""Submissions in repositories on GitHub: which push was the last in time by the server's own record, and what was in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from autograder.collect.archive import MAX_ARCHIVE_BYTES, files_of_tarball
from autograder.collect.model import CollectError, Files, Place, PlaceError, Version
from autograder.course.names import SafeNameError, check_name
from autograder.course.roster import Roster
from autograder.github.client import GitHub, segment
from autograder.github.errors import GitHubError, NotFoundError, RefusedError

# What moves the head of a branch; a deletion leaves none.
_MOVES = frozenset({"push", "force_push", "branch_creation", "pr_merge", "merge_queue_merge"})
_SHA = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")


class GitHubSource:
    """The class's repositories: the roster's, or those of an organisation whose names are a prefix and a login."""

    def __init__(self, github: GitHub, *, roster: Roster | None = None, organisation: str = "", prefix: str = "") -> None:
        self._github = github
        self._roster = roster
        self._organisation = organisation
        self._prefix = prefix
        self._branches: dict[str, str] = {}

    def places(self) -> Sequence[Place]:
        """Raises CollectError when there is neither a roster with repositories nor an organisation with any."""
        named = [entry for entry in self._roster.students if entry.repository] if self._roster else []
        found = [Place(entry.id, _repository(entry.repository)) for entry in named]
        if self._organisation:
            found += self._of_organisation({place.student for place in found})
        if not found:
            raise CollectError(
                "no repository to collect from: fill in the roster's column 'repository' (owner/name), or give an organisation and a prefix"
            )
        return found

    def _of_organisation(self, known: set[str]) -> list[Place]:
        logins = {entry.github.lower(): entry.id for entry in self._roster.students if entry.github} if self._roster else {}
        try:
            repositories = list(self._github.pages(f"/orgs/{segment(self._organisation)}/repos", {"type": "all", "sort": "full_name"}))
        except NotFoundError:
            raise CollectError(f"there is no organisation {self._organisation!r} on GitHub that this token may see") from None
        except GitHubError as error:
            raise CollectError(str(error)) from None
        found = []
        for repository in repositories:
            name = str(repository.get("name", ""))
            login = name[len(self._prefix) :]
            if not name.startswith(self._prefix) or not login:
                continue
            student = logins.get(login.lower(), "" if self._roster else login)
            try:
                if student and student not in known:
                    found.append(Place(check_name(student, "student"), _repository(f"{self._organisation}/{name}")))
            except SafeNameError:
                continue
        return found

    def versions(self, place: Place) -> Sequence[Version]:
        try:
            branch = self._default_branch(place)
            activities = self._github.pages(f"/repos/{place.where}/activity", {"ref": f"refs/heads/{branch}", "direction": "asc"})
            moves = [(str(entry["timestamp"]), str(entry["after"])) for entry in activities if entry.get("activity_type") in _MOVES]
            versions = [Version(sha, datetime.fromisoformat(moment).astimezone(UTC)) for moment, sha in moves if _SHA.fullmatch(sha) and int(sha, 16)]
        except GitHubError as error:
            raise _place_error(error, place) from None
        except (KeyError, ValueError, TypeError):
            raise PlaceError(f"GitHub's record of the pushes to {place.where} cannot be read") from None
        return sorted(versions, key=lambda version: version.arrived_at or datetime.min.replace(tzinfo=UTC))

    def files(self, place: Place, version: Version, paths: Iterable[str], max_bytes: int) -> Files:
        try:
            data = self._github.download(f"/repos/{place.where}/tarball/{version.id}", MAX_ARCHIVE_BYTES)
        except GitHubError as error:
            raise _place_error(error, place) from None
        return files_of_tarball(data, paths, max_bytes)

    def _default_branch(self, place: Place) -> str:
        if place.where not in self._branches:
            self._branches[place.where] = str(self._github.get(f"/repos/{place.where}").get("default_branch") or "main")
        return self._branches[place.where]


def _repository(text: str) -> str:
    """ "owner/name" of a repository that is given so or by its address. Raises CollectError."""
    name = re.sub(r"^(https://[^/]+/|git@[^:]+:)", "", text.strip()).removesuffix("/").removesuffix(".git")
    if not _REPOSITORY.fullmatch(name) or name.partition("/")[2] in (".", ".."):
        raise CollectError(f"{text[:80]!r} is no repository on GitHub; expected owner/name")
    return name


def _place_error(error: GitHubError, place: Place) -> Exception:
    """A token that is refused everywhere is not one student's problem."""
    if isinstance(error, NotFoundError):
        return PlaceError(f"{place.where} does not exist, or the token may not see it")
    if isinstance(error, RefusedError) and error.status == 401:
        return CollectError(str(error))
    return PlaceError(str(error))
