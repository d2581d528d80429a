"""Tokens for GitHub's API: one that was given, or one that a GitHub App mints from its private key.

A token is never written to disk, never part of an error's text, and shown by `repr` as what kind it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import httpx

from autograder.github.errors import GitHubError, RefusedError

TOKEN_VARIABLE = "GITHUB_TOKEN"
APP_VARIABLES = ("AUTOGRADER_APP_ID", "AUTOGRADER_APP_PRIVATE_KEY")
# GitHub accepts at most 600 seconds; its clock and this one may differ by a minute either way.
_JWT_SECONDS = 540
_CLOCK_SKEW_SECONDS = 60
_RENEW_BEFORE_SECONDS = 300


class Token(Protocol):
    """Where a request's token comes from. An empty one asks without authentication."""

    def value(self) -> str: ...

    def renew(self) -> bool:
        """Forget the token after it was refused. True when a new one can be had."""


@dataclass(frozen=True, repr=False)
class GivenToken:
    """A personal access token or a workflow's own. It cannot be renewed."""

    token: str

    def value(self) -> str:
        return self.token

    def renew(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"GivenToken({'set' if self.token else 'empty'})"


class AppToken:
    """Installation tokens of a GitHub App, minted when needed; each lives an hour.

    permissions: no more than the work needs, {"checks": "write"} for one; the App's own are the upper bound.
    """

    def __init__(
        self,
        app_id: str,
        private_key: str,
        owner: str,
        permissions: Mapping[str, str],
        *,
        base_url: str,
        now: Callable[[], float] = time.time,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._app_id = app_id
        self._private_key = private_key
        self._owner = owner
        self._permissions = dict(permissions)
        self._base_url = base_url.rstrip("/")
        self._now = now
        self._transport = transport
        self._token = ""
        self._expires = 0.0

    def __repr__(self) -> str:
        return f"AppToken(app {self._app_id}, {self._owner})"

    def value(self) -> str:
        if not self._token or self._now() > self._expires - _RENEW_BEFORE_SECONDS:
            self._mint()
        return self._token

    def renew(self) -> bool:
        self._token = ""
        return True

    def _mint(self) -> None:
        headers = {"Authorization": f"Bearer {self._jwt()}", "Accept": "application/vnd.github+json"}
        with httpx.Client(base_url=self._base_url, headers=headers, timeout=30, transport=self._transport) as client:
            installation = self._ask(client, "GET", f"/orgs/{self._owner}/installation") or self._ask(
                client, "GET", f"/users/{self._owner}/installation"
            )
            if installation is None:
                problem = f"the GitHub App {self._app_id} is not installed for {self._owner}; install it there, for the repositories of the class"
                raise RefusedError(problem, 404)
            path = f"/app/installations/{installation.get('id')}/access_tokens"
            minted = self._ask(client, "POST", path, {"permissions": self._permissions}) or {}
        try:
            self._token, expires = str(minted["token"]), str(minted["expires_at"])
            self._expires = datetime.fromisoformat(expires).timestamp()
        except (KeyError, ValueError):
            raise GitHubError(f"{self._base_url} minted no token for the GitHub App {self._app_id}") from None

    def _ask(self, client: httpx.Client, method: str, path: str, body: Mapping[str, object] | None = None) -> Mapping[str, object] | None:
        """The answer's object; None for 404."""
        try:
            answer = client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise GitHubError(f"{self._base_url} did not answer while a token was minted: {type(error).__name__}; try again") from None
        status = answer.status_code
        if status == 404:
            return None
        if status == 422:
            wanted = ", ".join(f"{name}: {level}" for name, level in self._permissions.items())
            raise RefusedError(f"the GitHub App {self._app_id} does not have the permissions {wanted}; grant them in its settings", status)
        if status >= 500:
            raise GitHubError(f"{self._base_url} answers {status} while a token was minted; try again later", status)
        if status >= 400:
            raise RefusedError(f"GitHub refuses the App {self._app_id} ({status}): check its id, its private key and this clock", status)
        try:
            parsed = answer.json()
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise GitHubError(f"{self._base_url} answered with something that is no JSON object while a token was minted")
        return parsed

    def _jwt(self) -> str:
        import jwt

        now = int(self._now())
        claims = {"iat": now - _CLOCK_SKEW_SECONDS, "exp": now + _JWT_SECONDS, "iss": self._app_id}
        try:
            return jwt.encode(claims, self._private_key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise RefusedError(
                f"the private key of the GitHub App {self._app_id} cannot be read; it is a PEM file that begins with -----BEGIN"
            ) from None


def token_from_environment(
    owner: str, permissions: Mapping[str, str], *, base_url: str, environment: Mapping[str, str] = os.environ, required: bool = True
) -> Token:
    """The App's token when its two variables are set, else GITHUB_TOKEN. Raises RefusedError when there is none and one is required."""
    app_id, key = (environment.get(name, "").strip() for name in APP_VARIABLES)
    if app_id and key:
        return AppToken(app_id, _key_text(key), owner, permissions, base_url=base_url)
    if app_id or key:
        present, absent = _split(APP_VARIABLES, bool(app_id))
        raise RefusedError(f"{present} is set and {absent} is not; a GitHub App needs both")
    token = environment.get(TOKEN_VARIABLE, "").strip()
    if not token and required:
        raise RefusedError(f"no token: set {' and '.join(APP_VARIABLES)} for a GitHub App, or {TOKEN_VARIABLE}")
    return GivenToken(token)


def _key_text(key: str) -> str:
    """A key whose line ends were lost on the way through an environment variable, mended."""
    return key.replace("\\n", "\n") + "\n"


def _split(names: Sequence[str], first: bool) -> tuple[str, str]:
    return (names[0], names[1]) if first else (names[1], names[0])
