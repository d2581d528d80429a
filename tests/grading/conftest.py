"""What pytest must not collect here."""

from __future__ import annotations

collect_ignore = ["toy_course"]  # a hidden suite, run by the grader alone
