"""The pytest plug-in for tests in this very process: public tests on a student's machine, hidden ones at an author's desk.

A test sees `submission` (the student's module), `tensors` (random inputs) and two markers::

    @pytest.mark.points(2)                     # what it is worth; 1 when not said
    @pytest.mark.requires("test_other")        # not run unless that one passed

Grading uses another plug-in with the same fixtures, whose submission lives in a process of its own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from autograder.checking.submission import LocalSubmission, load_module
from autograder.checking.tensors import Tensors

MARKERS = (
    "points(value): what a test is worth",
    "requires(*names): tests that must have passed for this one to say anything",
    "costly: seconds of work; `make verify` runs it once for each solution, not for further seeds",
)


class SubmissionFileError(Exception):
    """The file to test is missing, does not parse or does not import; `str()` is one sentence for the student."""


def load_submission(path: Path) -> LocalSubmission:
    """The module at `path`. Raises SubmissionFileError, which names the file and the line."""
    if not path.is_file():
        raise SubmissionFileError(f"{path} does not exist")
    try:
        return LocalSubmission(load_module(path))
    except SyntaxError as error:
        raise SubmissionFileError(f"{path.name} is not valid Python, line {error.lineno}: {error.msg}") from None
    except Exception as error:
        raise SubmissionFileError(f"{path.name} cannot be imported: {type(error).__name__}: {error}") from error


def file_of(test_path: Path) -> Path:
    """assignments/01_attention/test_public.py tests assignments/01_attention/attention.py."""
    folder = test_path.parent
    return folder / f"{folder.name.split('_', 1)[-1]}.py"


def seed_of(nodeid: str) -> int:
    """A fixed seed for a test run at a desk: the same test draws the same inputs each time."""
    return int.from_bytes(hashlib.sha256(nodeid.rpartition("::")[2].encode()).digest()[:7])


def required_by(item: pytest.Item) -> tuple[str, ...]:
    """Names of the tests that must have passed before this one."""
    return tuple(str(name) for marker in item.iter_markers("requires") for name in marker.args)


class LocalPlugin:
    """Fixtures for one pytest run. Without a submission of its own, a test gets the file beside it."""

    def __init__(self, submission: LocalSubmission | None = None, reference: LocalSubmission | None = None) -> None:
        self._submission = submission
        self._reference = reference
        self._loaded: dict[Path, LocalSubmission] = {}
        self._not_passed: dict[str, set[str]] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        for marker in MARKERS:
            config.addinivalue_line("markers", marker)

    @pytest.fixture
    def submission(self, request: pytest.FixtureRequest) -> LocalSubmission:
        """The student's module."""
        submission = self._submission or self._load(file_of(request.path))
        submission.start_test(seed_of(request.node.nodeid))
        return submission

    @pytest.fixture
    def reference(self) -> LocalSubmission:
        """The reference solution; hidden tests only."""
        if self._reference is None:
            raise RuntimeError("there is no reference solution here: a public test must not ask for one")
        return self._reference

    @pytest.fixture
    def tensors(self, request: pytest.FixtureRequest) -> Tensors:
        """Random inputs."""
        return Tensors(seed_of(request.node.nodeid))

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        missing = [name for name in required_by(item) if name in self._not_passed.get(str(item.path), set())]
        if missing:
            pytest.skip(f"not run: it needs {', '.join(missing)} to pass first")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if not report.passed:
            self._not_passed.setdefault(str(item.path), set()).add(getattr(item, "originalname", item.name))
        return report

    def _load(self, path: Path) -> LocalSubmission:
        if path not in self._loaded:
            try:
                self._loaded[path] = load_submission(path)
            except SubmissionFileError as error:
                pytest.fail(str(error), pytrace=False)
        return self._loaded[path]
