"""The tests of process_tree_alone.py, in a process that has no other child: what is measured takes every child for the command's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from autograder.grading.paths import REPOSITORY


def test_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", str(Path(__file__).with_name("process_tree_alone.py"))]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
