"""`autograder formgrader`: lay out nbgrader's course folder and open its web pages on it, for grading by hand."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console

from autograder.commands.grade import gradebook_url
from autograder.commands.publish import COURSE_FOLDER, update_gradebook
from autograder.course.course import load_course
from autograder.course.late import parse_time
from autograder.course.roster import load_roster
from autograder.gradebook.database import GradebookError
from autograder.gradebook.write import read_extensions
from autograder.grading.task import SandboxMode
from autograder.nbgrader_course.settings import write_settings
from autograder.reports.text import one_line
from autograder.results.ledger import Ledger
from autograder.results.standings import standings

_START_SECONDS = 120
_PAGE = "formgrader/gradebook"
# A second line behind the notebooks' own cleaning: no page loads pictures, frames or data from elsewhere.
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data: https://cdnjs.cloudflare.com; img-src 'self' data: blob:; "
    "connect-src 'self' ws: wss: data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)


@dataclass(frozen=True)
class FormgraderOptions:
    """What the command line may say. folder: None for nbgrader_course beside course.toml. port: 0 for any that is free."""

    submissions: Path
    course: Path
    results: Path
    gradebook: str | None = None
    roster: Path | None = None
    folder: Path | None = None
    port: int = 8888
    prepare_only: bool = False


def formgrader(options: FormgraderOptions, console: Console) -> int:
    """Prepare the folder and, unless told otherwise, serve it until Ctrl-C. Exit code 1 when Jupyter does not start.

    Raises GradebookError, CourseError or LedgerError when there is nothing to serve.
    """
    folder = (options.folder or options.course.parent / COURSE_FOLDER).absolute()
    _prepare(options, folder, console)
    if options.prepare_only:
        return 0
    return _serve(folder, free_port(options.port), console)


def _prepare(options: FormgraderOptions, folder: Path, console: Console) -> None:
    course = load_course(options.course)
    roster = load_roster(options.roster, course) if options.roster else None
    url = gradebook_url(options.course, options.gradebook)
    if url is None:
        raise GradebookError("formgrader needs a gradebook: install nbgrader (make grade-env), and do not say --gradebook none")
    reports = Ledger(options.results).all_current()
    if not reports and not options.prepare_only:
        raise GradebookError(f"{options.results} holds no graded submission; run `autograder grade` first, or name the folder with --results")
    modes = [cast(SandboxMode, report.sandbox.mode) for report in sorted(reports, key=lambda report: parse_time(report.graded_at))]
    write_settings(folder, options.course, options.results, url, options.roster, modes[-1] if modes else None)
    found = standings(reports, course, roster, read_extensions(url, course))
    for warning in update_gradebook(url, course, found, roster, options.submissions, folder):
        console.print(f"note: {one_line(warning, 400)}", markup=False, highlight=False)
    console.print(f"course folder: {folder}", markup=False, highlight=False, soft_wrap=True)


def _serve(folder: Path, port: int, console: Console) -> int:
    token = os.environ.get("JUPYTER_TOKEN") or secrets.token_urlsafe(24)
    programs = str(Path(sys.executable).parent)  # nbgrader looks for programs of its own there
    environment = os.environ | {"JUPYTER_TOKEN": token, "PATH": os.pathsep.join((programs, os.environ.get("PATH", os.defpath)))}
    command = [sys.executable, "-m", "jupyter_server", "-y", "--allow-root", "--no-browser", "--log-level=WARN", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += [f"--ServerApp.tornado_settings={ {'headers': {'Content-Security-Policy': _POLICY}}!r}"]
    server = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    previous = signal.signal(signal.SIGTERM, _stop)
    try:
        if not _answers(server, port, token):
            console.print("error: Jupyter did not start; its own message is above", style="bold red")
            return 1
        console.print(f"formgrader: http://127.0.0.1:{port}/{_PAGE}?token={token}", markup=False, highlight=False, soft_wrap=True)
        console.print("Ctrl-C stops it. Every grade is kept at once.")
        return 1 if server.wait() else 0
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(10)
        server.kill()


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _answers(server: subprocess.Popen[bytes], port: int, token: str) -> bool:
    """Wait until the server answers; False when it ended or takes far too long."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"http://127.0.0.1:{port}/formgrader/api/status", headers={"Authorization": f"token {token}"})
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(urllib.error.URLError, OSError):
            with opener.open(request, timeout=10):
                return True
        time.sleep(0.1)
    return False


def free_port(wanted: int) -> int:
    """`wanted` or, when it is taken, the next free one; any for 0."""
    for port in [*range(wanted, wanted + 50), 0] if wanted else [0]:
        with socket.socket() as probe:
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise GradebookError(f"no port from {wanted} on is free; name one with --port")
