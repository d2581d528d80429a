"""One table of a TOML file, read key by key; every mistake names the file, the key, the value and what is expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from difflib import get_close_matches
from typing import Any


class CourseError(ValueError):
    """The course's files say something that cannot be graded by."""


@dataclass(frozen=True)
class Table:
    values: dict[str, Any]
    where: str  # the start of every message: file and place

    def wrong(self, key: str, value: object, expected: str) -> CourseError:
        shown = value.isoformat() if isinstance(value, date | time) else repr(value)
        return CourseError(f"{self.where}: {key} is {shown if len(shown) <= 80 else shown[:77] + '...'}; expected {expected}")

    def allow(self, *keys: str) -> None:
        """Raises CourseError for a key that is not one of `keys`: a typing mistake must not be a silent default."""
        for key in self.values:
            if key not in keys:
                close = get_close_matches(key, keys, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"the keys are {', '.join(keys)}"
                raise CourseError(f"{self.where}: unknown key {key!r}; {hint}")

    def text(self, key: str, max_characters: int = 1000) -> str:
        value = self._get(key, None, "a text")
        if not isinstance(value, str) or not value.strip() or len(value) > max_characters or not value.isprintable():
            raise self.wrong(key, value, f"a text of one line, at most {max_characters} characters")
        return value

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self._get(key, default, " or ".join(choices))
        if value not in choices:
            close = get_close_matches(str(value), choices, n=1)
            raise self.wrong(key, value, " or ".join(f'"{choice}"' for choice in choices) + (f" (did you mean {close[0]!r}?)" if close else ""))
        return str(value)

    def number(self, key: str, above: float | None = None, at_most: float = math.inf, default: float | None = None) -> float:
        """A finite number from 0 (or above `above`) to `at_most`."""
        expected = f"a number above {above:g}" if above is not None else "a number that is 0 or more"
        if at_most != math.inf:
            expected = f"a number from 0 to {at_most:g}"
        value = self._get(key, default, expected)
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value <= at_most
        if not fits or (above is not None and value <= above):
            raise self.wrong(key, value, expected)
        return float(value)

    def count(self, key: str, default: int | None = None) -> int:
        expected = "a whole number that is 1 or more"
        value = self._get(key, default, expected)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.wrong(key, value, expected)
        return value

    def table(self, key: str, optional: bool = False) -> Table:
        value = self._get(key, {} if optional else None, f"a table [{key}]")
        if not isinstance(value, dict):
            raise self.wrong(key, value, f"a table [{key}]")
        return Table(value, f"{self.where}, [{key}]")

    def tables(self, key: str) -> list[Table]:
        """A list of at least one table; a message about the third one says "assignments 3"."""
        values = self._get(key, None, f"at least one [[{key}]]")
        if not isinstance(values, list) or not values or not all(isinstance(value, dict) for value in values):
            raise self.wrong(key, values, f"at least one [[{key}]]")
        return [Table(value, f"{self.where}, {key} {position}") for position, value in enumerate(values, start=1)]

    def _get(self, key: str, default: Any, expected: str) -> Any:
        if key in self.values:
            return self.values[key]
        if default is None:
            close = get_close_matches(key, self.values, n=1)
            hint = f"; did you mean it by {close[0]!r}?" if close else ""
            raise CourseError(f"{self.where}: {key} is missing; expected {expected}{hint}")
        return default
