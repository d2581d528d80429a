"""A pytest plug-in for one process per submission: what a course does that starts `pytest` for each student.

python -m pytest autograder/hidden_tests/test_attention.py -p autograder.bench.one_process --submission FILE --points FILE
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autograder.bench.population import NAME
from autograder.checking.fixtures import LocalPlugin, load_submission
from autograder.grading.paths import REFERENCES


class _Points:
    """Writes the points of each test to a file when the run is over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._points: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:  # type: ignore[misc]
        report: pytest.TestReport = yield
        if report.when == "call" or not report.passed:
            worth = next((float(marker.args[0]) for marker in item.iter_markers("points")), 1.0)
            self._points[item.name] = worth if report.passed else 0.0
        return report

    def pytest_sessionfinish(self) -> None:
        self._path.write_text(json.dumps(self._points), encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--submission", type=Path)
    parser.addoption("--points", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    submission, reference = load_submission(config.getoption("--submission")), load_submission(REFERENCES / f"{NAME}.py")
    config.pluginmanager.register(LocalPlugin(submission, reference))
    config.pluginmanager.register(_Points(config.getoption("--points")))
