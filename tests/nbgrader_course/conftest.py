"""A real browser and a class in nbgrader's web pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --disable-dev-shm-usage --window-size=1100,900 --proxy-server=direct://"
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium, through its WebDriver, that reaches this machine only."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    folder = os.environ.get("CHROMEWEBDRIVER")  # where GitHub's runners keep it
    driver = shutil.which("chromedriver") or (shutil.which("chromedriver", path=folder) if folder else None)
    if program is None or driver is None:
        pytest.skip("there is no Chromium with a chromedriver on this machine: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (
        *_FLAGS.split(),
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(flag)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    chrome.set_page_load_timeout(120)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def nbgrader_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment that is not activated, of a user who has no settings of Jupyter."""
    home = tmp_path_factory.mktemp("home")
    folders = {name: str(home / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "VIRTUAL_ENV"))}
    return {**kept, **folders, "HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
