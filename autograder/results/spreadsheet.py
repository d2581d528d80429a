"""Text and numbers for the cells of a CSV file that somebody may open in a spreadsheet.

A spreadsheet runs a cell as a formula when it starts with one of a few characters, whoever wrote it, and one whose list
separator is the semicolon also cuts this file's cells there. So an apostrophe goes before every place where a cell could start.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable

FORMULA_CHARACTERS = frozenset("=+-@＝＋－＠")
_CELL_STARTS = re.compile(r"([;\t\n\r])")


def safe_cell(text: str) -> str:
    """The text with an apostrophe wherever a spreadsheet could take what follows for a formula; `original_text` takes them away."""
    pieces = _CELL_STARTS.split(text)
    for position in range(0, len(pieces), 2):
        if _dangerous(pieces[position], at_start=position == 0, followed=position + 1 < len(pieces)):
            pieces[position] = "'" + pieces[position]
    return "".join(pieces)


def original_text(cell: str) -> str:
    """What was given to `safe_cell`."""
    pieces = _CELL_STARTS.split(cell)
    for position in range(0, len(pieces), 2):
        if pieces[position].startswith("'") and _dangerous(pieces[position], at_start=position == 0, followed=position + 1 < len(pieces)):
            pieces[position] = pieces[position][1:]
    return "".join(pieces)


def is_safe(text: str) -> bool:
    """Whether the text can be a cell as it is."""
    return safe_cell(text) == text


def printable(text: str) -> str:
    """The text without control characters, which many readers of CSV choke on; line ends become \\n, half a surrogate pair U+FFFD."""
    lines = re.sub(r"\r\n|[\r\v\f\x85\u2028\u2029]", "\n", text).replace("\t", " ")
    kept = (character for character in lines if character == "\n" or unicodedata.category(character) != "Cc")
    return "".join("\ufffd" if unicodedata.category(character) == "Cs" else character for character in kept)


def one_line_text(text: str) -> str:
    """A name as one line."""
    return " ".join(printable(text).split())


def number(value: float) -> str:
    """At most six decimals, no exponent, no trailing zeros."""
    text = f"{round(value, 6) + 0.0:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def csv_line(cells: Iterable[object], line_end: str = "\n") -> str:
    """One line. The writer would leave a carriage return in a cell unquoted if it were told to end lines the Unix way."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + line_end


def _dangerous(piece: str, *, at_start: bool, followed: bool) -> bool:
    """Whether a spreadsheet that skips spaces, quotes and invisible characters finds a formula at the start of `piece`."""
    for character in piece:
        if character in FORMULA_CHARACTERS:
            return True
        if not (character.isspace() or character in "\"'" or unicodedata.category(character) in ("Cf", "Cc")):
            return False
    return at_start and followed  # a separator first: what follows may move to the front
