"""What a verdict depends on, as hashes: a submission is graded again only when one of these changed."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path

from autograder.course.course import Limits
from autograder.grading.paths import HIDDEN_TESTS, REFERENCES, REPOSITORY
from autograder.reports.model import SCHEMA_VERSION
from autograder.submissions.read import Reading

_GRADER_FOLDERS = ("checking", "grading", "sandbox", "submissions", "wire", "worker")
_GRADER_FILES = ("misconceptions/bank.py", "reports/model.py")


@cache
def suite_sha256(name: str, hidden_tests: Path = HIDDEN_TESTS, references: Path = REFERENCES) -> str:
    """Of the hidden tests, what they import of the folder, the reference and the misconceptions of one assignment."""
    banks = REPOSITORY / "autograder" / "misconceptions"
    own = (hidden_tests / f"test_{name}.py", references / f"{name}.py", banks / f"{name}.py", banks / "kills" / f"{name}.json")
    return _of_files([*own, hidden_tests / "rules.py", *_imported(own[0], frozenset())])


def _imported(path: Path, seen: frozenset[Path]) -> frozenset[Path]:
    """The modules beside `path` that it imports, and those that they import."""
    try:
        names = {name for node in ast.walk(ast.parse(path.read_bytes())) for name in _modules(node)}
    except (OSError, SyntaxError, ValueError):
        return seen
    found = {path.with_name(f"{name.rpartition('.')[2]}.py") for name in names if name.rpartition(".")[0] in ("", "autograder.hidden_tests")}
    for module in sorted(module for module in found - seen if module.is_file()):
        seen = _imported(module, seen | {module})
    return seen


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [entry.name for entry in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{entry.name}" for entry in node.names)]
    return []


@cache
def grader_sha256() -> str:
    """Of the code that decides."""
    package = REPOSITORY / "autograder"
    files = [path for folder in _GRADER_FOLDERS for path in (package / folder).rglob("*.py")]
    return _of_files([*files, *(package / name for name in _GRADER_FILES)])


def torch_version() -> str:
    return importlib.metadata.version("torch")


def fingerprint(assignment: str, reading: Reading, suite: str, seed: str, limits: Limits, sandbox_mode: str) -> str:
    """64 hex digits that name the report."""
    parts = {
        "schema": SCHEMA_VERSION,
        "assignment": assignment,
        "submission": [reading.status.value, reading.sha256, reading.message, reading.submitted_at, reading.notes],
        "suite": suite,
        "grader": grader_sha256(),
        "torch": torch_version(),
        "seed": seed,
        "limits": asdict(limits),
        "sandbox": sandbox_mode,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _of_files(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(set(paths)):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
