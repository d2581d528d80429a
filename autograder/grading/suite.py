"""A hidden suite, collected once by pytest and run on any number of submissions.

The manifest is made here, from the collected tests: what is expected is known before a submission is met.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from _pytest.config import _prepareconfig
from _pytest.main import Session
from _pytest.runner import runtestprotocol

from autograder.checking.fixtures import MARKERS, required_by
from autograder.checking.submission import LocalSubmission, load_module
from autograder.checking.tensors import Tensors
from autograder.grading.paths import HIDDEN_TESTS, REFERENCES, REPOSITORY
from autograder.grading.seeds import seed_for_submission
from autograder.grading.suite_error import SuiteError
from autograder.sandbox.errors import ZygoteDiedError

# What a run of many submissions in one process neither needs nor can afford for each test.
_LEFT_OUT = (
    "cacheprovider capture logging terminal doctest unittest nose junitxml pastebin faulthandler setuponly setupplan stepwise debugging "
    "warnings unraisableexception threadexception tmpdir legacypath subtests"
).split()
_OWN_FIXTURES = {"submission", "reference", "tensors"}


@dataclass(frozen=True)
class ExpectedTest:
    """One line of the manifest. `requires` names tests that must have passed for this one to say anything; `costly` ones take seconds."""

    id: str
    title: str
    points: float
    requires: tuple[str, ...]
    costly: bool = False


@dataclass(frozen=True)
class Finished:
    """One test that ran: None when it passed, else what it raised."""

    raised: BaseException | None


class _Plugin:
    """The fixtures of hidden tests, and a note of what a test raised."""

    def __init__(self, reference: LocalSubmission) -> None:
        self.reference_module = reference
        self.current: Any = None
        self.seed = 0
        self.raised: BaseException | None = None
        self.ran = False
        self.collection_errors: list[str] = []

    def pytest_configure(self, config: pytest.Config) -> None:
        for marker in MARKERS:
            config.addinivalue_line("markers", marker)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.collection_errors.append(str(report.longrepr))

    @pytest.fixture
    def submission(self) -> Any:
        return self.current

    @pytest.fixture
    def reference(self) -> LocalSubmission:
        return self.reference_module

    @pytest.fixture
    def tensors(self) -> Tensors:
        return Tensors(self.seed)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
        """A report without the traceback in words, which costs more than the test and is never shown."""
        if call.excinfo is not None and self.raised is None:
            self.raised = call.excinfo.value
        if call.when == "call":
            self.ran = True
        outcome: Any = "failed" if call.excinfo is not None else "passed"
        return pytest.TestReport(
            item.nodeid, item.location, {}, outcome, None, "call" if call.when == "collect" else call.when, duration=call.duration
        )


class Suite:
    """The hidden suite of one assignment ("attention"). Close it when done."""

    def __init__(self, name: str, hidden_tests: Path = HIDDEN_TESTS, references: Path = REFERENCES) -> None:
        self.name = name
        path = hidden_tests / f"test_{name}.py"
        reference = references / f"{name}.py"
        for needed in (path, reference):
            if not needed.is_file():
                raise SuiteError(f"{needed} is missing: the assignment {name!r} cannot be graded without it")
        self._plugin = _Plugin(LocalSubmission(load_module(reference)))
        self._close = contextlib.ExitStack()
        self._items = self._collect(path)
        self.manifest = tuple(_expected(item) for item in self._items)
        self._check()

    def _collect(self, path: Path) -> list[pytest.Function]:
        arguments = [str(path), "--rootdir", str(REPOSITORY), "-c", os.devnull, "-o", f"pythonpath={REPOSITORY}", "--import-mode=importlib"]
        for name in _LEFT_OUT:
            arguments += ["-p", f"no:{name}"]
        try:
            with _own_pytest_settings(), contextlib.redirect_stderr(io.StringIO()):
                config = _prepareconfig(arguments, [self._plugin])
        except pytest.UsageError as error:
            raise SuiteError(f"{path} cannot be collected: {error}") from None
        self._close.callback(config._ensure_unconfigure)
        config._do_configure()
        session = Session.from_config(config)
        config.hook.pytest_sessionstart(session=session)
        session.perform_collect()
        if self._plugin.collection_errors:
            raise SuiteError(f"{path} cannot be collected:\n{self._plugin.collection_errors[0]}")
        return [item for item in session.items if isinstance(item, pytest.Function)]

    def _check(self) -> None:
        ids = [test.id for test in self.manifest]
        if not ids:
            raise SuiteError(f"the hidden suite of {self.name!r} holds no test")
        for position, test in enumerate(self.manifest):
            if ids.count(test.id) > 1:
                raise SuiteError(f"the hidden suite of {self.name!r} has two tests named {test.id}")
            for needed in test.requires:
                if needed not in ids[:position]:
                    raise SuiteError(f"{test.id} requires {needed}, which is no test before it in the hidden suite of {self.name!r}")

    @property
    def points(self) -> float:
        return sum(test.points for test in self.manifest)

    def run(
        self,
        submission: Any,
        seed_of: Callable[[str], int],
        observing: Callable[[ExpectedTest], contextlib.AbstractContextManager[None]] = lambda _test: contextlib.nullcontext(),
        *,
        costly: bool = True,
        only: Collection[str] | None = None,
    ) -> Iterator[tuple[ExpectedTest, Finished | None]]:
        """Each test of the manifest with what came of it; None when one that it requires did not pass.

        Without `costly` ones when False. With `only`, those alone, and all others are taken to pass.
        """
        passed = set() if only is None else {test.id for test in self.manifest if test.id not in only}
        for item, test in zip(self._items, self.manifest, strict=True):
            if test.id in passed or (test.costly and not costly):
                continue
            if any(name not in passed for name in test.requires):
                yield test, None
                continue
            with observing(test):
                finished = self._run_one(item, submission, seed_of(test.id))
            if finished.raised is None:
                passed.add(test.id)
            yield test, finished

    def run_one(self, test_id: str, submission: Any, seed: int) -> Finished:
        """One test, whatever it requires; without pytest's protocol, which costs more than most tests, where they need none of it."""
        item = next(item for item in self._items if item.name == test_id)
        if not set(item.fixturenames) <= _OWN_FIXTURES or hasattr(item, "callspec"):
            return self._run_one(item, submission, seed)
        submission.start_test(seed_for_submission(seed))
        given = {"submission": submission, "reference": self._plugin.reference_module, "tensors": Tensors(seed)}
        try:
            with torch.enable_grad():  # puts back what a variant that runs in this process may have switched off for good
                item.obj(**{name: given[name] for name in item.fixturenames})
        except (KeyboardInterrupt, SystemExit, ZygoteDiedError):  # none of a submission's doing
            raise
        except BaseException as raised:
            return Finished(raised)
        return Finished(None)

    def _run_one(self, item: pytest.Function, submission: Any, seed: int) -> Finished:
        plugin = self._plugin
        plugin.current, plugin.seed, plugin.raised, plugin.ran = submission, seed, None, False
        submission.start_test(seed_for_submission(seed))
        item._initrequest()
        other = next((candidate for candidate in self._items if candidate is not item), None)
        with torch.enable_grad():  # as in run_one
            runtestprotocol(item, log=False, nextitem=other)  # another of the module: its fixtures of module scope stay
        plugin.current = None
        if plugin.raised is None and not plugin.ran:
            return Finished(RuntimeError("the test did not run"))
        return Finished(plugin.raised)

    def close(self) -> None:
        self._close.close()


@contextlib.contextmanager
def _own_pytest_settings() -> Iterator[None]:
    """Without what the environment wants of pytest: neither third-party plug-ins nor options meant for other tests have a say in a grade."""
    kept = {name: os.environ.pop(name) for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD") if name in os.environ}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
        os.environ.update(kept)


def _expected(item: pytest.Function) -> ExpectedTest:
    points = next((marker.args[0] for marker in item.iter_markers("points")), 1.0)
    lines = (item.function.__doc__ or item.name.removeprefix("test_").replace("_", " ")).strip().splitlines()
    return ExpectedTest(item.name, lines[0].strip(), float(points), required_by(item), item.get_closest_marker("costly") is not None)
