"""The one error of this package."""

from __future__ import annotations


class ReleaseError(Exception):
    """The release cannot be made or checked, and nothing was written. `str()` is one sentence for the instructor."""
