"""Gives the public tests their fixtures, so that plain `pytest assignments/01_attention` and an IDE's debugger work."""

from __future__ import annotations

import pytest

from autograder.checking.fixtures import LocalPlugin


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.has_plugin("public-tests"):
        plugin = LocalPlugin()
        config.pluginmanager.register(plugin, "public-tests")
