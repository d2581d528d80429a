"""GitHub's REST API, as far as a course needs it: pages, rate limits, retries, and errors in one sentence.

A token goes to the API's own address and nowhere else: a redirect or a next page that leads to another host is asked without it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from autograder.github.errors import GitHubError, InvalidError, NotFoundError, RefusedError
from autograder.github.tokens import GivenToken, Token
from autograder.reports.text import one_line

BASE_URL = "https://api.github.com"
_ATTEMPTS = 5
_TRY_AGAIN = frozenset({500, 502, 503, 504})
_MAX_JSON_BYTES = 32 << 20
_MAX_PAGES = 1_000
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
# GitHub allows 80 requests a minute that create content.
_SECONDS_BETWEEN_WRITES = 0.8


@dataclass
class Pace:
    """Time as the client sees it; a test replaces it and does not wait. longest_wait: for a rate limit, before giving up."""

    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    longest_wait: float = 900.0
    between_writes: float = _SECONDS_BETWEEN_WRITES
    last_write: float = field(default=float("-inf"))


class GitHub:
    """A client for one API address. Close it, or use it in a `with`."""

    def __init__(
        self,
        token: Token | None = None,
        base_url: str = BASE_URL,
        *,
        pace: Pace | None = None,
        say: Callable[[str], None] = lambda _sentence: None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._token = token or GivenToken("")
        self.base_url = base_url.rstrip("/")
        self._pace = pace or Pace()
        self._say = say
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28", "User-Agent": "transformer-course-autograder"}
        self._http = httpx.Client(headers=headers, timeout=_TIMEOUT, follow_redirects=False, transport=transport)

    def __enter__(self) -> GitHub:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return self._json(self._ask("GET", self._url(path), params=params), path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Create something. Tried once when no answer comes: it may have been created, which only the caller can find out."""
        return self._json(self._ask("POST", self._url(path), body=body), path)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._json(self._ask("PATCH", self._url(path), body=body), path)

    def pages(self, path: str, params: Mapping[str, Any] | None = None, *, key: str | None = None) -> Iterator[Any]:
        """The items of every page. `key`: where an answer that is an object keeps its list."""
        url, query = self._url(path), dict({"per_page": 100} | dict(params or {}))
        seen = set()
        for _ in range(_MAX_PAGES):
            answer = self._ask("GET", url, params=query)
            found = self._json(answer, path)
            items = found.get(key) if key is not None and isinstance(found, dict) else found
            if not isinstance(items, list):
                raise GitHubError(f"GitHub's answer for {path} is no list")
            yield from items
            following = answer.links.get("next", {}).get("url")
            if not following or not items:
                return
            if not self._is_own(following) or following in seen:
                raise GitHubError(f"the next page of {path} is said to be at {one_line(following, 120)}, which cannot be")
            seen.add(following)
            url, query = following, {}
        raise GitHubError(f"{path} has more than {_MAX_PAGES} pages")

    def download(self, path: str, max_bytes: int) -> bytes:
        """The bytes that `path` leads to, over at most three redirects. Raises InvalidError when there are more than `max_bytes`."""
        url = self._url(path)
        for _ in range(4):
            answer = self._ask("GET", url, max_bytes=max_bytes)
            if not answer.is_redirect:
                return answer.content
            url = str(answer.next_request.url) if answer.next_request is not None else ""
            if urlsplit(url).scheme not in ("https", urlsplit(self.base_url).scheme):
                raise GitHubError(f"{path} leads to {one_line(url, 80)}, which is not an address to fetch from")
        raise GitHubError(f"{path} leads from one address to the next without an end")

    def _url(self, path: str) -> str:
        return f"{self.base_url}{path}"

    def _is_own(self, url: str) -> bool:
        own, other = urlsplit(self.base_url), urlsplit(url)
        return (own.scheme, own.netloc) == (other.scheme, other.netloc)

    def _ask(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        max_bytes: int = _MAX_JSON_BYTES,
    ) -> httpx.Response:
        """The answer to one request, 2xx or 3xx. Raises GitHubError once nothing more can be tried."""
        renewed = False
        attempt = 0
        while True:
            attempt += 1
            self._wait_before(method)
            try:
                answer = self._send(method, url, params, body, max_bytes)
            except httpx.HTTPError as error:
                problem = f"{urlsplit(url).netloc} does not answer ({type(error).__name__}): {method} {urlsplit(url).path}"
                if method == "POST" or attempt >= _ATTEMPTS:
                    raise GitHubError(f"{problem}; run again, what is done is not done twice") from None
                self._wait(self._backoff(attempt), problem)
                continue
            if answer.status_code < 400:
                return answer
            pause = self._told_to_wait(answer)
            if answer.status_code == 401 and not renewed and self._token.renew():
                renewed = True
            elif pause is not None and attempt < _ATTEMPTS:
                if pause > self._pace.longest_wait:
                    raise RefusedError(f"GitHub's rate limit is used up for {pause / 60:.0f} minutes more; run again then", answer.status_code)
                self._wait(pause, "GitHub's rate limit")
            elif answer.status_code in _TRY_AGAIN and attempt < _ATTEMPTS and method != "POST":
                self._wait(self._backoff(attempt), f"GitHub answers {answer.status_code}")
            else:
                raise _error(answer, method, urlsplit(url).path)

    def _send(self, method: str, url: str, params: Mapping[str, Any] | None, body: Mapping[str, Any] | None, max_bytes: int) -> httpx.Response:
        token = self._token.value() if self._is_own(url) else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = self._http.build_request(method, url, params=params or None, json=body, headers=headers)
        answer = self._http.send(request, stream=True)
        try:
            received = bytearray()
            for piece in answer.iter_bytes():
                received += piece
                if len(received) > max_bytes:
                    raise InvalidError(f"{urlsplit(url).path} is larger than {max_bytes:,} bytes", answer.status_code)
            answer._content = bytes(received)
        finally:
            answer.close()
        return answer

    def _json(self, answer: httpx.Response, path: str) -> Any:
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise GitHubError(f"GitHub's answer for {path} is no JSON") from None

    def _told_to_wait(self, answer: httpx.Response) -> float | None:
        """Seconds that an answer of a rate limit asks to wait, None for any other."""
        if answer.status_code not in (403, 429):
            return None
        after = answer.headers.get("Retry-After")
        if after is not None:
            return _seconds_of(after, self._pace.now())
        if answer.headers.get("x-ratelimit-remaining") == "0":
            return max(1.0, _number(answer.headers.get("x-ratelimit-reset"), self._pace.now() + 60) - self._pace.now() + 1)
        return 60.0 if answer.status_code == 429 or b"rate limit" in answer.content[:2000].lower() else None

    def _wait_before(self, method: str) -> None:
        if method == "GET":
            return
        pause = self._pace.last_write + self._pace.between_writes - self._pace.now()
        if pause > 0:
            self._pace.sleep(pause)
        self._pace.last_write = self._pace.now()

    def _wait(self, seconds: float, why: str) -> None:
        if seconds >= 5:
            self._say(f"{why}: waiting {seconds:.0f} s")
        self._pace.sleep(seconds)

    def _backoff(self, attempt: int) -> float:
        return float(2 ** (attempt - 1)) * (0.75 + random.random() / 2)


def segment(text: str) -> str:
    """`text` as one segment of a path: nothing in it can lead elsewhere."""
    return quote(text, safe="")


def _error(answer: httpx.Response, method: str, path: str) -> GitHubError:
    status, what = answer.status_code, f"{method} {path}"
    said = _said(answer)
    if status in (404, 410):
        return NotFoundError(f"{what}: there is no such thing, or this token may not see it", status)
    if status == 401:
        return RefusedError(f"{what}: GitHub does not accept the token (401); it may have expired or been revoked", status)
    if status in (403, 451):
        return RefusedError(f"{what}: refused ({status}){said}; does the token have the permission for this?", status)
    if status < 500:
        return InvalidError(f"{what}: GitHub says that the request is wrong ({status}){said}", status)
    return GitHubError(f"{what}: GitHub answers {status}{said}; run again later, what is done is not done twice", status)


def _said(answer: httpx.Response) -> str:
    try:
        parsed = answer.json()
    except ValueError:
        return ""
    if not isinstance(parsed, dict):
        return ""
    errors = [str(entry.get("message") or entry.get("code") or "") if isinstance(entry, dict) else str(entry) for entry in parsed.get("errors") or ()]
    text = "; ".join(part for part in (str(parsed.get("message") or ""), *errors[:3]) if part)
    return f": {one_line(text, 200)}" if text else ""


def _seconds_of(after: str, now: float) -> float:
    try:
        return max(1.0, float(after))
    except ValueError:
        pass
    try:
        return max(1.0, parsedate_to_datetime(after).timestamp() - now)
    except (ValueError, TypeError):
        return 60.0


def _number(text: str | None, otherwise: float) -> float:
    try:
        return float(text) if text is not None else otherwise
    except ValueError:
        return otherwise
