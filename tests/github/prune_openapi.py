"""Make openapi.json: of GitHub's own description of its REST API, the paths that this project calls and what they refer to.

    npm install @octokit/openapi@23.0.2
    python tests/github/prune_openapi.py node_modules/@octokit/openapi/generated/api.github.com.json

The description is GitHub's, under the MIT licence. Examples and prose are left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CALLED = {
    "/app/installations/{installation_id}/access_tokens": ("post",),
    "/user": ("get",),
    "/orgs/{org}/installation": ("get",),
    "/users/{username}/installation": ("get",),
    "/orgs/{org}/repos": ("get",),
    "/repos/{owner}/{repo}": ("get",),
    "/repos/{owner}/{repo}/activity": ("get",),
    "/repos/{owner}/{repo}/tarball/{ref}": ("get",),
    "/repos/{owner}/{repo}/check-runs": ("post",),
    "/repos/{owner}/{repo}/check-runs/{check_run_id}": ("patch",),
    "/repos/{owner}/{repo}/commits/{ref}/check-runs": ("get",),
    "/repos/{owner}/{repo}/statuses/{sha}": ("post",),
    "/repos/{owner}/{repo}/commits/{ref}/statuses": ("get",),
    "/repos/{owner}/{repo}/commits/{commit_sha}/comments": ("get", "post"),
    "/repos/{owner}/{repo}/comments/{comment_id}": ("patch",),
}
_PROSE = ("description", "summary", "example", "examples", "externalDocs", "x-github", "x-octokit", "title", "tags")


def prune(whole):
    paths = {}
    for path, methods in CALLED.items():
        kept = {key: value for key, value in whole["paths"][path].items() if key == "parameters" or key in methods}
        paths[path] = without_prose(kept)
    found = {"openapi": whole["openapi"], "info": {"title": "GitHub REST API, in part", "version": whole["info"]["version"]}, "paths": paths}
    components = {}
    waiting = references(paths)
    while waiting:
        _, _, kind, name = waiting.pop().split("/", 3)
        if name in components.get(kind, {}):
            continue
        part = without_prose(whole["components"][kind][name], response=kind == "responses")
        components.setdefault(kind, {})[name] = part
        waiting |= references(part)
    return found | {"components": {kind: dict(sorted(parts.items())) for kind, parts in sorted(components.items())}}


def references(part):
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(references(value) for value in part.values()))
    return set().union(*(references(value) for value in part)) if isinstance(part, list) else set()


def without_prose(part, names=False, response=False):
    """`names`: this is a mapping by name, in which "title" and the like are somebody's names. `response`: OpenAPI demands its description."""
    if isinstance(part, list):
        return [without_prose(value) for value in part]
    if not isinstance(part, dict):
        return part
    kept = {} if "$ref" in part or not response else {"description": ""}
    for key, value in part.items():
        if names or key not in _PROSE:
            by_name = not names and key in ("properties", "responses", "schemas", "headers")
            kept[key] = (
                without_prose(value, names=by_name) if key != "responses" else {code: without_prose(of, response=True) for code, of in value.items()}
            )
    return kept


if __name__ == "__main__":
    description = prune(json.loads(Path(sys.argv[1]).read_text()))
    target = Path(__file__).with_name("openapi.json")
    target.write_text(json.dumps(description, indent=0, sort_keys=True) + "\n")
    print(f"{target.name}: {len(description['paths'])} paths, {target.stat().st_size:,} bytes")
