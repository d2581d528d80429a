"""A CSV file of another system in which some cells are filled in, and every other byte stays as it was."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from autograder.exports.model import ExportError

_LIMIT_BYTES = 64 * 1024 * 1024
_BYTE_ORDER_MARK = "\ufeff"


@dataclass
class _Cell:
    text: str  # as a CSV reader has it
    raw: str  # as it stands in the file, with its quotes


class Template:
    """Rows of cells; `rows[0]` is the header. Lines without any text are kept, but are no rows."""

    def __init__(self, path: Path) -> None:
        """Raises ExportError when the file is no CSV table in UTF-8."""
        self._name = path.name
        text = _read(path)
        self._start = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
        text = text.removeprefix(_BYTE_ORDER_MARK)
        first_line = (text.splitlines() or [""])[0]
        self.delimiter = max(",;\t", key=first_line.count)
        self._lines = _parse(text, self.delimiter, path.name)
        self._filled = [cells for cells, _ in self._lines if any(cell.text.strip() for cell in cells)]
        if not self._filled:
            raise ExportError(f"the template {path.name} is empty; export it again from where it comes from")
        self.rows = [[cell.text for cell in cells] for cells in self._filled]
        for number, row in enumerate(self.rows, 1):
            if len(row) != len(self.rows[0]):
                raise ExportError(f"{path.name}: row {number} has {len(row)} cells, but the header has {len(self.rows[0])}; export it again")

    def column(self, title: str, *, needed: bool = True) -> int | None:
        """Where a column is; None, or ExportError when it is needed, if it is not there. Raises ExportError for one that is there twice."""
        found = [index for index, cell in enumerate(self.rows[0]) if cell.strip() == title]
        if len(found) > 1:
            raise ExportError(f"{self._name}: the column {title!r} is there {len(found)} times; expected it once")
        if not found and needed:
            raise ExportError(f"{self._name} has no column {title!r}; it has {', '.join(map(repr, self.rows[0]))[:400]}")
        return found[0] if found else None

    def fill(self, row: int, column: int, text: str) -> None:
        """Put a text into a cell. One that says it already is left as it is, byte for byte."""
        cell = self._filled[row][column]
        if cell.text == text:
            return
        out = io.StringIO()
        # The second cell keeps the writer from quoting a text that is empty and alone in its line.
        csv.writer(out, delimiter=self.delimiter, lineterminator="").writerow([text, ""])
        cell.text, cell.raw = text, out.getvalue()[: -len(self.delimiter)]
        if any(character in text for character in "\r\n") and not cell.raw.startswith('"'):
            cell.raw = '"' + cell.raw + '"'

    def content(self) -> bytes:
        lines = (self.delimiter.join(cell.raw for cell in cells) + end for cells, end in self._lines)
        return (self._start + "".join(lines)).encode()


def check_output(to: Path, template: Path | None) -> None:
    """Raises ExportError when writing `to` would overwrite the template."""
    if template is not None and to.exists() and template.exists() and to.samefile(template):
        raise ExportError(f"{to} is the template itself, which is never overwritten; name another file with --to")


def _read(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(_LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise ExportError(f"the template {path} does not exist") from None
    except OSError as error:
        raise ExportError(f"the template {path} cannot be read: {error.strerror}") from None
    if len(content) > _LIMIT_BYTES:
        raise ExportError(f"the template {path.name} is larger than {_LIMIT_BYTES // 2**20} MiB; is it the right file?")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ExportError(
            f"{path.name}: byte {error.start} is not UTF-8; take the file as it was downloaded, before a spreadsheet saved it"
        ) from None


def _parse(text: str, delimiter: str, name: str) -> list[tuple[list[_Cell], str]]:
    """Lines of cells with the line's end. csv.reader gives no raw text, which is what must stay."""
    lines: list[tuple[list[_Cell], str]] = []
    cells: list[_Cell] = []
    position = 0
    while position < len(text):
        start = position
        if text[position] == '"':
            position += 1
            while True:
                position = text.find('"', position)
                if position < 0:
                    raise ExportError(f"{name}: a double quote in row {len(lines) + 1} is never closed; export the file again")
                if text[position : position + 2] != '""':
                    break
                position += 2
            position += 1
            value = text[start + 1 : position - 1].replace('""', '"')
            if position < len(text) and text[position] not in (delimiter, "\r", "\n"):
                raise ExportError(f"{name}: row {len(lines) + 1} has text after a closing double quote; export the file again")
        else:
            while position < len(text) and text[position] not in (delimiter, "\r", "\n"):
                position += 1
            value = text[start:position]
        cells.append(_Cell(value, text[start:position]))
        if position < len(text) and text[position] == delimiter:
            position += 1
            if position == len(text):
                cells.append(_Cell("", ""))
            continue
        end = "\r\n" if text.startswith("\r\n", position) else text[position : position + 1]
        position += len(end)
        lines.append((cells, end))
        cells = []
    if cells:
        lines.append((cells, ""))
    return lines
