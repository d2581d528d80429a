"""What pytest must not collect here."""

from __future__ import annotations

collect_ignore_glob = ["*/*"]  # submissions
