"""The three ways in which GitHub shows a score on a commit: a check run, a commit status, one comment that is kept up to date.

Each finds what it posted before and updates it, so that a request whose answer was lost leaves no second one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from autograder.github.client import GitHub
from autograder.github.errors import GitHubError, NotFoundError, RefusedError
from autograder.posting.content import MAX_TEXT, Annotation, Content, description_of

_ANNOTATIONS_A_CALL = 50


class Way(Protocol):
    """permissions: what a token needs for it."""

    name: str
    permissions: Mapping[str, str]

    def put(self, github: GitHub, repository: str, commit: str, key: str, content: Content) -> None:
        """Show `content` on a commit of "owner/name". `key` marks what is ours. Raises GitHubError."""


class CheckRun:
    """Only a GitHub App or a workflow's own token may write one; a student's push cannot forge it."""

    name = "check"
    permissions: Mapping[str, str] = {"checks": "write", "metadata": "read"}

    def put(self, github: GitHub, repository: str, commit: str, key: str, content: Content) -> None:
        batches = [content.annotations[at : at + _ANNOTATIONS_A_CALL] for at in range(0, len(content.annotations), _ANNOTATIONS_A_CALL)] or [()]
        body = {"name": content.name, "external_id": key, "status": "completed", "conclusion": content.conclusion}
        number = self._number(github, repository, commit, key, content)
        if number is None:
            sent = body | {"head_sha": commit, "output": _output(content, batches[0])}
            number = self._create(github, repository, commit, key, content, sent)
        else:
            github.patch(f"/repos/{repository}/check-runs/{number}", body | {"output": _output(content, batches[0])})
        for batch in batches[1:]:  # these are added to those before
            github.patch(f"/repos/{repository}/check-runs/{number}", {"output": _output(content, batch)})

    def _create(self, github: GitHub, repository: str, commit: str, key: str, content: Content, body: Mapping[str, Any]) -> int:
        try:
            return int(github.post(f"/repos/{repository}/check-runs", body)["id"])
        except GitHubError as error:
            if 0 < error.status < 500:
                raise
            # Its answer was lost: it may be there all the same.
            number = self._number(github, repository, commit, key, content)
            return number if number is not None else int(github.post(f"/repos/{repository}/check-runs", body)["id"])

    def _number(self, github: GitHub, repository: str, commit: str, key: str, content: Content) -> int | None:
        query = {"check_name": content.name, "filter": "latest"}
        found = github.pages(f"/repos/{repository}/commits/{commit}/check-runs", query, key="check_runs")
        return next((int(run["id"]) for run in found if run.get("external_id") == key), None)


class CommitStatus:
    """For a token without the permission for checks. Anyone who may push can write one of the same name."""

    name = "status"
    permissions: Mapping[str, str] = {"statuses": "write", "metadata": "read"}

    def put(self, github: GitHub, repository: str, commit: str, key: str, content: Content) -> None:
        state = {"success": "success", "neutral": "failure", "failure": "error"}[content.conclusion]
        body = {"state": state, "context": content.name, "description": description_of(content)}
        try:
            github.post(f"/repos/{repository}/statuses/{commit}", body)
        except GitHubError as error:
            if 0 < error.status < 500:
                raise
            github.post(f"/repos/{repository}/statuses/{commit}", body)  # the newest of a name counts: a second does no harm


class Comment:
    """One comment on the commit, found again by its mark and its author."""

    name = "comment"
    permissions: Mapping[str, str] = {"contents": "write", "metadata": "read"}

    def put(self, github: GitHub, repository: str, commit: str, key: str, content: Content) -> None:
        mark = f"<!-- {key} -->"
        text = f"{mark}\n{content.comment[: MAX_TEXT - len(mark) - 1]}"
        number = self._number(github, repository, commit, mark)
        if number is not None:
            github.patch(f"/repos/{repository}/comments/{number}", {"body": text})
            return
        try:
            github.post(f"/repos/{repository}/commits/{commit}/comments", {"body": text})
        except GitHubError as error:
            if 0 < error.status < 500 or self._number(github, repository, commit, mark) is not None:
                if 0 < error.status < 500:
                    raise
                return
            github.post(f"/repos/{repository}/commits/{commit}/comments", {"body": text})

    def _number(self, github: GitHub, repository: str, commit: str, mark: str) -> int | None:
        """A student can copy the mark into a comment of their own, so the author must be us as well."""
        own = _login(github)
        for comment in github.pages(f"/repos/{repository}/commits/{commit}/comments"):
            author = comment.get("user") or {}
            ours = author.get("login") == own if own else author.get("type") == "Bot"
            if ours and str(comment.get("body", "")).startswith(mark):
                return int(comment["id"])
        return None


WAYS: Mapping[str, Way] = {way.name: way for way in (CheckRun(), CommitStatus(), Comment())}


def _login(github: GitHub) -> str:
    """Who a personal token is; "" for an App's, which may not ask."""
    try:
        return str(github.get("/user")["login"])
    except (NotFoundError, RefusedError):
        return ""


def _output(content: Content, annotations: Sequence[Annotation]) -> dict[str, Any]:
    shown = [
        {
            "path": entry.path,
            "start_line": entry.line,
            "end_line": entry.line,
            "annotation_level": "warning",
            "title": entry.title,
            "message": entry.message,
        }
        for entry in annotations
    ]
    output: dict[str, Any] = {"title": content.title, "summary": content.summary, "annotations": shown}
    return output | ({"text": content.details} if content.details else {})
