"""The built-in functions of a submission's module: as ever, but that `getattr` leads to no attribute that a reading of the source looks for.

What is written out in the source is found there; a name that is put together while the code runs is seen here alone.
"""

from __future__ import annotations

import builtins
import sys
from typing import Any

from autograder.worker.unusual import UNUSUAL_ATTRIBUTES


def guarded_builtins() -> dict[str, Any]:
    """A module's `__builtins__`."""
    return {**vars(builtins), "getattr": _getattr}


def _getattr(owner: Any, name: str, /, *default: Any) -> Any:
    """getattr. Raises RuntimeError for names of frames, closures, code and the like, and for the table of all modules."""
    plain = "".join((name,)) if isinstance(name, str) else name  # not what a subclass of str says of itself
    if plain in UNUSUAL_ATTRIBUTES or (plain == "modules" and owner is sys):
        raise RuntimeError(f"getattr does not lead to {plain} here")
    return getattr(owner, plain, *default)
