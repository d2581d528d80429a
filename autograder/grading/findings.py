"""A worker's account of a submission's source, checked: nothing of a submission has run in that worker, and still nothing is believed unseen."""

from __future__ import annotations

from typing import Any

from autograder.wire.codec import WireError

_MAX_ENTRIES = 20_000  # definitions in one file of a million bytes
_MAX_CHARACTERS = 1_000
_REMARKS = ("flags", "outside_torch", "native", "intrusive", "uncounted")
_KEYS = frozenset(["syntax_error", "tainted", *_REMARKS])


def checked_findings(raw: Any) -> dict[str, Any]:
    """As in `worker.analysis`, with tuples: `syntax_error` (line, words) or None, lists of (line, words), `tainted` {name: (operation, line)}.

    Raises WireError when it is not that.
    """
    if not isinstance(raw, dict) or not raw.keys() >= _KEYS:
        raise WireError("an analysis is malformed")
    tainted = raw["tainted"]
    if not isinstance(tainted, dict) or len(tainted) > _MAX_ENTRIES or not all(map(_is_text, tainted)):
        raise WireError("an analysis is malformed")
    return {
        "syntax_error": None if raw["syntax_error"] is None else _remark(raw["syntax_error"]),
        **{key: _remarks(raw[key]) for key in _REMARKS},
        "tainted": {name: (words, line) for name, use in tainted.items() for line, words in [_remark(_reversed(use))]},
    }


def _remarks(raw: Any) -> list[tuple[int, str]]:
    if not isinstance(raw, list) or len(raw) > _MAX_ENTRIES:
        raise WireError("an analysis is malformed")
    return [_remark(entry) for entry in raw]


def _remark(raw: Any) -> tuple[int, str]:
    if not isinstance(raw, list) or len(raw) != 2 or type(raw[0]) is not int or not 0 <= raw[0] < 2**31 or not _is_text(raw[1]):
        raise WireError("an analysis is malformed")
    return raw[0], raw[1]


def _reversed(raw: Any) -> Any:
    return raw[::-1] if isinstance(raw, list) else raw


def _is_text(raw: Any) -> bool:
    return isinstance(raw, str) and len(raw) <= _MAX_CHARACTERS
