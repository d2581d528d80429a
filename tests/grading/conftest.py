"""The warm grader and the toy course, importable by their names."""

from __future__ import annotations

import sys
from pathlib import Path

if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))

collect_ignore = ["toy_course"]  # a hidden suite, run by the grader alone
