"""A forge on this machine: real git repositories over smart HTTP, and the paths of GitHub's API that the project calls.

What is right is not decided here: each request and each answer is held against GitHub's own description of its API, and one
that does not fit is noted in `Forge.violations` and answered with 500.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from shapes import Shapes
from werkzeug.datastructures import Headers, ImmutableMultiDict

HERE = Path(__file__).parent
GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A Student",
    "GIT_AUTHOR_EMAIL": "student@example.org",
    "GIT_COMMITTER_NAME": "A Student",
    "GIT_COMMITTER_EMAIL": "student@example.org",
}
ZEROS = "0" * 40


@cache
def described():
    """GitHub's description of its API, read once: what checks against it, and what makes objects of its shapes."""
    description = json.loads((HERE / "openapi.json").read_text())
    return OpenAPI.from_dict(description), Shapes(description)


def git(*arguments, cwd, date=None, stdin=None):
    """What git prints. `date`: of the commit, which a student is free to choose."""
    environment = GIT_ENVIRONMENT | ({"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {})
    done = subprocess.run(["git", *arguments], cwd=cwd, env=environment, input=stdin, capture_output=True, check=True)
    return done.stdout.decode().strip()


@dataclass
class Repository:
    """A bare repository and the server's own record of the pushes to it."""

    path: Path
    full_name: str
    default_branch: str = "main"
    activity: list[dict] = field(default_factory=list)
    check_runs: list[dict] = field(default_factory=list)
    statuses: list[dict] = field(default_factory=list)
    comments: list[dict] = field(default_factory=list)
    gone: bool = False

    def push(self, files, at, *, force=False, date="2020-01-01T00:00:00Z", remove=()):
        """A push that arrives at `at` and whose commit says `date`. files: text or bytes by path; a tuple ("link", target) makes a link."""
        head = self.head()
        index = self.path / "index.tmp"
        if index.exists():
            index.unlink()
        environment = GIT_ENVIRONMENT | {"GIT_INDEX_FILE": str(index), "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}

        def run(*arguments, stdin=None):
            return (
                subprocess.run(["git", *arguments], cwd=self.path, env=environment, input=stdin, capture_output=True, check=True)
                .stdout.decode()
                .strip()
            )

        if head and not force:
            run("read-tree", head)
        for path in remove:
            run("rm", "--cached", "--quiet", "--", path)
        for path, content in files.items():
            mode, data = ("120000", content[1].encode()) if isinstance(content, tuple) else ("100644", content)
            digest = run("hash-object", "-w", "--stdin", stdin=data.encode() if isinstance(data, str) else data)
            run("update-index", "--add", "--cacheinfo", f"{mode},{digest},{path}")
        commit = run("commit-tree", run("write-tree"), *(("-p", head) if head and not force else ()), "-m", "work")
        run("update-ref", f"refs/heads/{self.default_branch}", commit)
        kind = "branch_creation" if not head else "force_push" if force else "push"
        self.activity.append(
            {"before": head or ZEROS, "after": commit, "timestamp": at, "activity_type": kind, "ref": f"refs/heads/{self.default_branch}"}
        )
        return commit

    def head(self):
        done = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", f"refs/heads/{self.default_branch}"], cwd=self.path, capture_output=True, check=False
        )
        return done.stdout.decode().strip()


@dataclass
class Fault:
    """An answer in place of the real one for the next `times` requests whose "METHOD path" matches. status 0: the connection is cut."""

    pattern: str
    status: int
    times: int = 1
    headers: dict = field(default_factory=dict)
    body: dict | None = None
    after_work: bool = False  # the request is carried out, and only its answer is lost


class Forge:
    """Start it with `with`; `url` is the API's address, `git_url(name)` a repository's."""

    def __init__(self, folder: Path, tokens=("token-of-the-class",)) -> None:
        self.folder = folder
        self.repositories: dict[str, Repository] = {}
        self.tokens = {token: {"contents": "write", "checks": "write", "statuses": "write", "metadata": "read"} for token in tokens}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, dict | None, str]] = []  # method, path, body, token
        self.violations: list[str] = []
        self.checked: dict[tuple[str, str, str], int] = {}
        self.app_key: str | None = None  # the public key of the App, when there is one
        self.token_lifetime = timedelta(hours=1)
        self.login = "the-course[bot]"
        self._next_id = 1000
        self._api, self.shapes = described()
        self._lock = threading.RLock()

    def __enter__(self):
        forge = self

        class Handler(_Handler):
            pass

        Handler.forge = forge
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc_info):
        self._server.shutdown()
        self._server.server_close()

    def repository(self, full_name: str) -> Repository:
        """Make an empty one."""
        path = self.folder / f"{full_name}.git"
        empty = self.folder / "empty.git"
        if not empty.exists():
            empty.mkdir()
            git("init", "--quiet", "--bare", "--template=", "--initial-branch=main", ".", cwd=empty)
            git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=empty)
        shutil.copytree(empty, path)
        self.repositories[full_name] = Repository(path, full_name)
        return self.repositories[full_name]

    def git_url(self, full_name: str) -> str:
        return f"{self.url}/git/{full_name}.git"

    def number(self) -> int:
        with self._lock:
            self._next_id += 1
            return self._next_id

    def asked(self, pattern: str):
        """The requests whose "METHOD path" matches."""
        return [entry for entry in self.requests if re.search(pattern, f"{entry[0]} {entry[1]}")]

    def violation(self, what: str) -> None:
        self.violations.append(what)


class _Handler(BaseHTTPRequestHandler):
    forge: Forge
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        pass

    def do_GET(self):
        self._serve()

    def do_POST(self):
        self._serve()

    def do_PATCH(self):
        self._serve()

    def _serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.data = self.rfile.read(length)
        url = urlsplit(self.path)
        if url.path.startswith("/git/"):
            return self._git(url)
        if url.path.startswith("/codeload/"):
            return self._codeload(url)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        body = json.loads(self.data) if self.data else None
        with self.forge._lock:
            self.forge.requests.append((self.command, self.path, body, token))
            fault = self._fault(f"{self.command} {self.path}")
        if fault is not None and not fault.after_work:
            return self._answer_fault(fault)
        problem = self._invalid_request(url, body)
        if problem:
            self.forge.violation(f"{self.command} {self.path}: {problem}")
            return self._json(500, {"message": f"not what GitHub's description allows: {problem}"})
        status, answer, headers = self._route(url, body, token)
        if fault is not None:
            return self._answer_fault(fault)
        return self._json(status, answer, headers)

    def _fault(self, what):
        for fault in self.forge.faults:
            if fault.times > 0 and re.search(fault.pattern, what):
                fault.times -= 1
                return fault
        return None

    def _answer_fault(self, fault):
        if fault.status == 0:
            self.close_connection = True
            self.connection.close()
            return None
        return self._json(fault.status, fault.body or {"message": "a fault"}, fault.headers, check=False)

    # What the API answers

    def _route(self, url, body, token):
        path, query = url.path, dict(parse_qsl(url.query))
        jwt_paths = ("/orgs/", "/users/", "/app/")
        if path.endswith("/installation") or path.startswith("/app/"):
            return self._app(path, body, token) if path.startswith(jwt_paths) else (404, {"message": "Not Found"}, {})
        granted = self.forge.tokens.get(token)
        if granted is None:
            return 401, {"message": "Bad credentials"}, {}
        if path == "/user":
            # An App's token is nobody's, and may not ask.
            refused = token.startswith("ghs_")
            return (403, {"message": "Resource not accessible by integration"}, {}) if refused else (200, self._user(), {})
        if match := re.fullmatch(r"/orgs/([^/]+)/repos", path):
            owned = [entry for name, entry in sorted(self.forge.repositories.items()) if name.startswith(f"{match[1]}/") and not entry.gone]
            shown = [
                self.forge.shapes.make("minimal-repository", name=entry.full_name.partition("/")[2], full_name=entry.full_name) for entry in owned
            ]
            return self._page(shown, url, query) if owned else (404, {"message": "Not Found"}, {})
        match = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)
        repository = self.forge.repositories.get(match[1]) if match else None
        if repository is None or repository.gone:
            return 404, {"message": "Not Found"}, {}
        return self._repository(repository, match[2] or "", url, query, body, granted)

    def _repository(self, repository, rest, url, query, body, granted):
        if rest == "":
            whole = self.forge.shapes.make("full-repository", full_name=repository.full_name, default_branch=repository.default_branch, private=True)
            return 200, whole, {}
        if rest == "/activity":
            entries = [dict(entry, id=place, node_id=f"A{place}", actor=None) for place, entry in enumerate(repository.activity)]
            entries = [entry for entry in entries if entry["ref"] == query.get("ref", entry["ref"])]
            return self._page(entries if query.get("direction") == "asc" else entries[::-1], url, query)
        if match := re.fullmatch(r"/tarball/([0-9a-f]{40})", rest):
            return (
                302,
                None,
                {"Location": f"{self.forge.url.replace('127.0.0.1', 'localhost')}/codeload/{repository.full_name}/{match[1]}?token=short-lived"},
            )
        if rest == "/check-runs":
            if granted.get("checks") != "write":
                return 403, {"message": "Resource not accessible by integration"}, {}
            run = _check_run(self.forge, body, self.forge.number(), (body.get("output") or {}).get("annotations") or [])
            repository.check_runs.append(run)
            return 201, run, {}
        if match := re.fullmatch(r"/check-runs/(\d+)", rest):
            run = next((run for run in repository.check_runs if run["id"] == int(match[1])), None)
            if run is None:
                return 404, {"message": "Not Found"}, {}
            sent = run["_sent"] | body | {"output": {**(run["_sent"].get("output") or {}), **(body.get("output") or {})}}
            run.update(_check_run(self.forge, sent, run["id"], run["_annotations"] + ((body.get("output") or {}).get("annotations") or [])))
            return 200, run, {}
        if match := re.fullmatch(r"/commits/([0-9a-f]{40})/check-runs", rest):
            found = [run for run in repository.check_runs if run["head_sha"] == match[1] and query.get("check_name", run["name"]) == run["name"]]
            return 200, {"total_count": len(found), "check_runs": found}, {}
        if match := re.fullmatch(r"/statuses/([0-9a-f]{40})", rest):
            if granted.get("statuses") != "write":
                return 403, {"message": "Resource not accessible by integration"}, {}
            status = self.forge.shapes.make(
                "status", state=body["state"], description=body.get("description"), context=body.get("context", "default"), _sha=match[1]
            )
            repository.statuses.append(status)
            return 201, status, {}
        if match := re.fullmatch(r"/commits/([0-9a-f]{40})/statuses", rest):
            return self._page([entry for entry in repository.statuses[::-1] if entry["_sha"] == match[1]], url, query)
        if match := re.fullmatch(r"/commits/([0-9a-f]{40})/comments", rest):
            if self.command == "GET":
                return self._page([entry for entry in repository.comments if entry["commit_id"] == match[1]], url, query)
            user = self.forge.shapes.make("simple-user", login=self.forge.login, type="Bot")
            comment = self.forge.shapes.make("commit-comment", id=self.forge.number(), commit_id=match[1], body=body["body"], user=user)
            repository.comments.append(comment)
            return 201, comment, {}
        if match := re.fullmatch(r"/comments/(\d+)", rest):
            comment = next((entry for entry in repository.comments if entry["id"] == int(match[1])), None)
            if comment is None:
                return 404, {"message": "Not Found"}, {}
            comment["body"] = body["body"]
            return 200, comment, {}
        return 404, {"message": "Not Found"}, {}

    def _user(self):
        return self.forge.shapes.make("public-user", login=self.forge.login, user_view_type="public")

    def _app(self, path, body, token):
        import jwt

        try:
            claims = jwt.decode(token, self.forge.app_key or "", algorithms=["RS256"], options={"verify_iss": False})
            assert claims["exp"] - claims["iat"] <= 600
        except Exception:
            return 401, {"message": "A JSON web token could not be decoded"}, {}
        if path.endswith("/installation"):
            owner = path.split("/")[2]
            return (
                (200, self.forge.shapes.make("installation", id=77), {})
                if any(name.startswith(f"{owner}/") for name in self.forge.repositories)
                else (404, {"message": "Not Found"}, {})
            )
        minted = f"ghs_{self.forge.number()}"
        permissions = body.get("permissions") or {}
        self.forge.tokens[minted] = dict(permissions)
        expires = (datetime.now(UTC) + self.forge.token_lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 201, {"token": minted, "expires_at": expires, "permissions": permissions}, {}

    def _page(self, items, url, query):
        size, cursor = int(query.get("per_page", 30)), int(query.get("page") or query.get("after") or 1)
        by_cursor = url.path.endswith("/activity")
        shown = items[(cursor - 1) * size : cursor * size]
        headers = {}
        if cursor * size < len(items):
            following = urlencode({**query, ("after" if by_cursor else "page"): cursor + 1})
            headers["Link"] = f'<{self.forge.url}{url.path}?{following}>; rel="next"'
        return 200, shown, headers

    # Git itself

    def _codeload(self, url):
        assert not self.headers.get("Authorization"), "a token was sent where a redirect led"
        _, _, owner, name, commit = url.path.split("/")
        repository = self.forge.repositories[f"{owner}/{name}"]
        done = subprocess.run(
            ["git", "archive", "--format=tar.gz", f"--prefix={owner}-{name}-{commit[:7]}/", commit],
            cwd=repository.path,
            capture_output=True,
            check=False,
        )
        return self._bytes(200 if done.returncode == 0 else 404, done.stdout, "application/x-gzip")

    def _git(self, url):
        full_name = url.path.removeprefix("/git/").split(".git")[0]
        repository = self.forge.repositories.get(full_name)
        if repository is None or repository.gone:
            return self._bytes(404, b"no such repository", "text/plain")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.forge.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": url.path.removeprefix("/git"),
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(self.data)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "REMOTE_ADDR": "127.0.0.1",
        }
        authorization = self.headers.get("Authorization") or ""
        if authorization.startswith("Basic "):
            environment["REMOTE_USER"] = base64.b64decode(authorization[6:]).decode().split(":")[0]
        done = subprocess.run(["git", "http-backend"], env=environment, input=self.data, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200 OK").split()[0])
        return self._bytes(status, content, headers.pop("Content-Type", "text/plain"), headers)

    # Answers

    def _json(self, status, answer, headers=None, check=True):
        data = b"" if answer is None else json.dumps(_public(answer)).encode()
        if check and status < 400:
            problem = self._invalid_answer(status, data)
            if problem:
                self.forge.violation(f"the answer to {self.command} {self.path}: {problem}")
        return self._bytes(status, data, "application/json; charset=utf-8", headers)

    def _bytes(self, status, data, kind, headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    # GitHub's own description

    def _checked_often(self, kind):
        """A class of hundreds asks the same question hundreds of times; the first fifty are checked."""
        shape = (kind, self.command, re.sub(r"transformer-[^/?]+|[0-9a-f]{40}|[0-9]+", "", self.path))
        self.forge.checked[shape] = self.forge.checked.get(shape, 0) + 1
        return self.forge.checked[shape] > 50

    def _invalid_request(self, url, body):
        if self._checked_often("request"):
            return ""
        try:
            self.forge._api.validate_request(_Request(self, url))
        except Exception as error:
            return f"{type(error).__name__}: {error.__cause__ or error}"
        return ""

    def _invalid_answer(self, status, data):
        if status == 302 or self._checked_often("answer"):
            return ""
        try:
            self.forge._api.validate_response(_Request(self, urlsplit(self.path)), _Answer(status, data))
        except Exception as error:
            details = getattr(error.__cause__, "schema_errors", None) or getattr(error, "schema_errors", None)
            return f"{type(error).__name__}: {[str(detail)[:200] for detail in details] if details else error.__cause__ or error}"
        return ""


class _Request:
    """What openapi-core asks of a request."""

    def __init__(self, handler, url) -> None:
        self.host_url = "https://api.github.com"
        self.path = url.path
        self.method = handler.command.lower()
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(url.query)), header=Headers(dict(handler.headers)), cookie=ImmutableMultiDict()
        )
        self.body = handler.data or None
        self.content_type = "application/json"


class _Answer:
    def __init__(self, status, data) -> None:
        self.status_code = status
        self.data = data
        self.content_type = "application/json"
        self.headers = Headers()


def _public(value):
    """Without what the forge keeps for itself."""
    if isinstance(value, dict):
        return {key: _public(entry) for key, entry in value.items() if not key.startswith("_")}
    return [_public(entry) for entry in value] if isinstance(value, list) else value


def _check_run(forge, sent, number, annotations):
    output = sent.get("output") or {}
    shown = {"title": output.get("title"), "summary": output.get("summary"), "text": output.get("text"), "annotations_count": len(annotations)}
    shown["annotations_url"] = "https://example.org/annotations"
    given = {"id": number, "name": sent["name"], "head_sha": sent["head_sha"], "external_id": sent.get("external_id"), "output": shown}
    given |= {"status": sent.get("status", "queued"), "conclusion": sent.get("conclusion")}
    return forge.shapes.make("check-run", **given) | {"_sent": sent, "_annotations": annotations}
