"""Run the public tests of one assignment in this process, through pytest, and note what came of each.

Nothing here prints: `check_words` turns the results into text.
"""

from __future__ import annotations

import inspect
import linecache
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any

import pytest

from autograder.checking import notebook
from autograder.checking.assertions import Mismatch
from autograder.checking.check_results import NOT_IMPLEMENTED, Checked, CheckedTest, Interruption, Outcome, Place, Problem
from autograder.checking.fixtures import LocalPlugin, required_by
from autograder.checking.submission import LocalSubmission, load_module

_places: dict[str, Sequence[notebook.Place]] = {}
_NOT_DEFINED = re.compile(r"\S+\.py does not define (\w+)")


class CannotLoadError(Exception):
    """The student's file cannot be imported; `problem` says why, for the student."""

    def __init__(self, reason: str, frames: tuple[Place, ...] = (), hint: str | None = None, *, interrupted: bool = False) -> None:
        self.problem = Problem(reason, hint, frames)
        self.interrupted = interrupted
        super().__init__(reason)


def name_places(path: Path, places: Sequence[notebook.Place]) -> None:
    """From which cells the lines of a file come that was put together from a notebook; they are said in place of its lines."""
    _places[str(path)] = places


def load_solution(path: Path) -> ModuleType:
    """Import the student's file. Raises CannotLoadError for whatever goes wrong, also for Ctrl-C while it runs."""
    try:
        return load_module(path)
    except SyntaxError as error:
        if error.filename is not None and Path(error.filename) != path:
            raise CannotLoadError(f"{Path(error.filename).name}, which {path.name} imports, is not valid Python: {error.msg}.") from None
        place = notebook.place_of(_places.get(str(path), ()), error.lineno or 0)
        line = f", {place or f'line {error.lineno}'}" if error.lineno else ""
        lines = (Place(place or f"{path.name}:{error.lineno}", (error.text or "").strip()),) if error.lineno else ()
        raise CannotLoadError(f"{path.name} is not valid Python{line}: {error.msg}.", lines) from None
    except BaseException as error:
        frames = _frames(error.__traceback__, lambda frame: frame.f_code.co_filename == str(path), path.name)
        if isinstance(error, KeyboardInterrupt):
            reason = f"Stopped by you while {path.name} was being imported."
            raise CannotLoadError(reason, frames, "Does a loop outside of every function ever end?", interrupted=True) from None
        hint = None
        if isinstance(error, ImportError):
            hint = "A solution needs torch and Python's own library. Each file is graded alone: code of another assignment is copied in."
        raise CannotLoadError(f"{path.name} cannot be imported: {_error_text(error)}", frames, hint) from None


def run_public_tests(
    tests: Path,
    module: ModuleType,
    namespace: dict[str, Any] | None = None,
    *,
    name: str,
    select: str | None = None,
    stop_at_first: bool = False,
    tell: Callable[[CheckedTest], None] = lambda _test: None,
) -> Checked:
    """Run `tests` on `module`, and `tell` of each test when it is done.

    `namespace` is where the functions of `module` live when they were made elsewhere, as those of a notebook are; `name` is
    what the place they come from is called. `select` is pytest's -k.
    """
    recorder = _Recorder(tests, module, module.__dict__ if namespace is None else namespace, name if namespace is None else None, tell)
    arguments = [str(tests), "--rootdir", str(tests.parent), "-c", os.devnull, "--noconftest", "--import-mode=importlib"]
    arguments += ["--disable-plugin-autoload", "--capture=sys", "-p", "no:cacheprovider", "-p", "no:warnings"]
    arguments += ["-k", select] if select else []
    arguments += ["-x"] if stop_at_first else []
    known = set(sys.modules)
    options = os.environ.pop("PYTEST_ADDOPTS", None)
    try:
        code = pytest.main(arguments, plugins=[LocalPlugin(recorder.submission), recorder])
    finally:
        if options is not None:
            os.environ["PYTEST_ADDOPTS"] = options
        # pytest keeps a test module under a short name; another folder's tests have the same name.
        for added in set(sys.modules) - known:
            if getattr(sys.modules[added], "__file__", None) == str(tests):
                del sys.modules[added]
    error = recorder.error
    if error is None and code == pytest.ExitCode.NO_TESTS_COLLECTED:
        error = f"no public test matches -k {select!r}." if select else f"{tests.name} holds no tests."
    if error is None and code in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
        error = f"pytest could not run {tests.name}; `pytest {tests.parent}` says more."
    return Checked(tuple(recorder.done), recorder.interruption, error)


class _Watched(LocalSubmission):
    """Notes which of the module's names a test asks for."""

    def __init__(self, module: ModuleType) -> None:
        self.asked_for: list[str] = []
        super().__init__(module)

    def start_test(self, seed: int) -> None:
        self.asked_for.clear()
        super().start_test(seed)

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if name not in self.asked_for:
            self.asked_for.append(name)
        return found


class _Recorder:
    """The pytest plug-in that notes each test's outcome in place of pytest's own report."""

    def __init__(self, tests: Path, module: ModuleType, namespace: dict[str, Any], filename: str | None, tell: Callable[[CheckedTest], None]) -> None:
        self.submission = _Watched(module)
        self.done: list[CheckedTest] = []
        self.interruption: Interruption | None = None
        self.error: str | None = None
        self._tests = tests
        self._module = module
        self._namespace = namespace
        self._filename = filename
        self._tell = tell
        self._titles: dict[str, str] = {}
        self._running = ""
        self._current: CheckedTest | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.unregister(name="terminalreporter")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.error = f"the public tests cannot be loaded: {str(report.longrepr).strip().splitlines()[-1].strip()}"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._titles = {item.name: _title(item) for item in session.items}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._running, self._current = self._titles[item.name], None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if (call.when == "call" or not report.passed) and (self._current is None or self._current.outcome is Outcome.PASSED):
            self._current = self._judge(item, call, report)
        return report

    def pytest_runtest_logfinish(self) -> None:
        if self._current is not None:
            self.done.append(self._current)
            self._tell(self._current)
            self._current = None

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        frames = self._own_frames(excinfo.value)
        self.interruption = Interruption(self._running, frames[-1] if frames else None)

    def _judge(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> CheckedTest:
        title = self._titles[item.name]
        if report.passed or call.excinfo is None:
            return CheckedTest(item.name, title, Outcome.PASSED)
        if report.skipped:
            passed = {test.name.partition("[")[0] for test in self.done if test.outcome is Outcome.PASSED}
            needs = tuple(self._titles.get(name, name) for name in required_by(item) if name not in passed)
            return CheckedTest(item.name, title, Outcome.NOT_RUN, None if needs else Problem(str(call.excinfo.value)), needs)
        error = call.excinfo.value
        missing = self._not_implemented(error)
        if missing:
            return CheckedTest(item.name, title, Outcome.NOT_IMPLEMENTED, Problem(missing))
        return CheckedTest(item.name, title, Outcome.FAILED, self._problem(error), printed=report.capstdout)

    def _not_implemented(self, error: BaseException) -> str | None:
        """What is not there yet, when it was the student's own line that said so: torch raises NotImplementedError too."""
        if not isinstance(error, NotImplementedError):
            return None
        deepest = list(traceback.walk_tb(error.__traceback__))[-1][0]
        if deepest.f_globals is not self._namespace:
            return None
        text = str(error)
        return text if text.startswith(NOT_IMPLEMENTED) else f"{NOT_IMPLEMENTED}: {deepest.f_code.co_qualname}"

    def _problem(self, error: BaseException) -> Problem:
        frames = self._own_frames(error)
        asked_for = () if frames else tuple(place for name in self.submission.asked_for[-3:] if (place := self._definition(name)))
        test = _frames(error.__traceback__, lambda frame: frame.f_code.co_filename == str(self._tests), self._tests.name)
        last = test[-1] if test else None
        if isinstance(error, Mismatch):
            return Problem(error.reason, error.hint, frames, asked_for, last)
        undefined = _NOT_DEFINED.fullmatch(str(error))
        if undefined and not frames:
            if self._filename is None:
                return Problem(f"the notebook does not define {undefined[1]}: run the cell that does.", test=last)
            return Problem(f"{self._filename} does not define {undefined[1]}.", "Keep the names of the stub.", test=last)
        if frames:
            return Problem(_error_text(error), None, frames, (), last)
        reason = f"what came back cannot be used as the contract says: {_error_text(error)}"
        return Problem(reason, "How many values do you return, of which types and shapes?", (), asked_for, last)

    def _own_frames(self, error: BaseException) -> tuple[Place, ...]:
        """The student's lines in the traceback of `error`, or else in that of its cause."""
        for raised in (error, error.__cause__):
            if raised is not None:
                frames = _frames(raised.__traceback__, lambda frame: frame.f_globals is self._namespace, self._filename)
                if frames:
                    return frames
        return ()

    def _definition(self, name: str) -> Place | None:
        """Where a function of the student's begins; of a module, its forward."""
        target = getattr(self._module, name, None)
        code = getattr(getattr(target, "forward", target) if inspect.isclass(target) else target, "__code__", None)
        if code is None:
            return None
        return _place(code.co_filename, code.co_firstlineno, code.co_qualname, self._filename)


def _title(item: pytest.Item) -> str:
    lines = (getattr(item, "obj", item).__doc__ or item.name.removeprefix("test_").replace("_", " ")).strip().splitlines()
    case = item.name.partition("[")[2].rstrip("]")
    return lines[0].strip().rstrip(".") + (f" [{case}]" if case else "")


def _frames(trace: TracebackType | None, belongs: Callable[[FrameType], bool], filename: str | None) -> tuple[Place, ...]:
    places = [
        _place(frame.f_code.co_filename, line, frame.f_code.co_qualname, filename) for frame, line in traceback.walk_tb(trace) if belongs(frame)
    ]
    return tuple(_without_repeats(places))


def _without_repeats(places: list[Place]) -> Iterator[Place]:
    for before, place in zip([None, *places], places, strict=False):
        if place != before:
            yield place


def _place(path: str, line: int, qualified_name: str, filename: str | None) -> Place:
    """`filename` None: a notebook, where lines count from the start of a cell that is known by what it defines."""
    linecache.checkcache(path)
    text = linecache.getline(path, line).strip()
    in_notebook = notebook.place_of(_places.get(path, ()), line)
    if in_notebook:
        return Place(in_notebook, text)
    where = f"{filename}:{line}" if filename is not None else f"line {line} of the cell that defines {qualified_name.partition('.')[0]}"
    return Place(where, text)


def _error_text(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text[:600]}" if text else type(error).__name__
