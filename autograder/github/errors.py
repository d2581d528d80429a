"""What can go wrong between this machine and GitHub, each as one sentence for the instructor."""

from __future__ import annotations


class GitHubError(Exception):
    """A request that did not succeed, after all that could be tried. `status`: the HTTP status, 0 when no answer came."""

    def __init__(self, problem: str, status: int = 0) -> None:
        self.status = status
        super().__init__(problem)


class NotFoundError(GitHubError):
    """404 or 410: it does not exist, or this token may not see it; GitHub does not say which."""


class RefusedError(GitHubError):
    """401, 403 or 451: the token is not accepted, or its permissions do not reach this far."""


class InvalidError(GitHubError):
    """422 or another 4xx: GitHub understood the request and says that it is wrong."""
