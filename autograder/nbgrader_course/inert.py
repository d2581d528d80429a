"""What students wrote and drew, so that a notebook's page can show it and nothing of it can act.

nbgrader's pages render Markdown and outputs without cleaning them, in the browser of an instructor who is logged in. So no
HTML, SVG, JavaScript, link or remote picture gets that far: only text, and pictures that are what they say.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

from autograder.reports.text import clean, one_line

CODE_LIMIT = 100_000  # characters
TEXT_LIMIT = 10_000
OUTPUT_LIMIT = 20  # outputs of one cell, and pictures pasted into it
IMAGE_BYTES = 2_000_000
IMAGE_PIXELS = 25_000_000

_GAP = "\u200b"  # zero-width: parts what would be read as one token, and nobody sees it
_LANGUAGES = frozenset(("", "python", "py", "python3", "text"))
# TeX that leads out of a formula: links, styles, further code, and new meanings for what others write on the same page.
_TEX = (
    "href|require|class|cssId|style|bbox|mmlToken|unicode|includegraphics"
    "|def|gdef|edef|xdef|let|newcommand|renewcommand|newenvironment|renewenvironment"
)
_PARTED = (
    (re.compile(r"<(?=[A-Za-z/!?])"), "< "),  # a tag, a comment, <https://…>
    (re.compile(r"&(?=[#A-Za-z])"), "& "),  # a character that is written as its number, and so not seen here
    (re.compile(r"\](?=[(:])"), "] "),  # a link or picture, the address of one
    (re.compile(r"(?:(?<=http)|(?<=https)):", re.IGNORECASE), f"{_GAP}:"),
    (re.compile(rf"\\(?=(?:{_TEX})(?![A-Za-z]))"), r"\\ "),
    # A heading is an anchor of the page, named by its text: with a gap in it, it is the name of nothing else on the page.
    (re.compile(r"#+"), rf"\g<0>{_GAP}"),
    (re.compile(r"^([^A-Za-z|\n]*?)(?<![-=])(?=(?:=+|-+)[ \t]*$)", re.MULTILINE), rf"\1{_GAP}"),
)
_FENCE = re.compile(r"(`{3,}|~{3,})([ \t]*)([^\s`~]*)")

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def inert_code(text: str) -> str:
    """Source text for a code cell, whose page shows it letter by letter."""
    return clean(text, CODE_LIMIT).rstrip("\n")


def inert_markdown(text: str) -> str:
    """Markdown in which formulas, code, lists, tables and emphasis still work, and no link, picture or HTML does.

    Whatever a page's Markdown takes to be code, formula or text: what could act is parted by a space wherever it stands, so that
    nothing hangs on reading the text exactly as that page does.
    """
    shown = clean(text, TEXT_LIMIT)
    shown = _FENCE.sub(lambda m: m[0] if m[3].lower() in _LANGUAGES else f"{m[1]}{m[2]}{_GAP}{m[3]}", shown)
    for pattern, parted in _PARTED:
        shown = pattern.sub(parted, shown)
    return shown


def inert_outputs(outputs: Iterable[object]) -> list[dict[str, Any]]:
    """A cell's outputs: text, errors, and PNG and JPEG pictures; in place of anything else a note."""
    listed = list(outputs)
    shown = [_output(output) for output in listed[:OUTPUT_LIMIT] if isinstance(output, Mapping)]
    if len(listed) > OUTPUT_LIMIT:
        shown.append(_note(f"{len(listed) - OUTPUT_LIMIT} more outputs are not shown"))
    return shown


def inert_attachments(attachments: Mapping[str, Any]) -> tuple[dict[str, dict[str, str]], str]:
    """The pictures that were pasted into a Markdown cell, under names of ours, and the Markdown that shows them."""
    kept: dict[str, dict[str, str]] = {}
    shown = []
    for number, attached in enumerate(list(attachments.values())[:OUTPUT_LIMIT], start=1):
        output = _display(attached) if isinstance(attached, Mapping) else _note("an attachment that is no picture is not shown")
        pictures = {kind: encoded for kind, encoded in output.get("data", {}).items() if kind.startswith("image/")}
        if pictures:
            kept[f"picture-{number}"] = pictures
            shown.append(f"![picture {number}](attachment:picture-{number})")
        else:
            shown.append(inert_markdown(output.get("text") or "[An attachment that is no picture is not shown.]"))
    return kept, "\n\n".join(shown)


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    """An output that is text. What goes to "stderr" is shown on red."""
    return {"output_type": "stream", "name": name, "text": text}


def _output(output: Mapping[str, Any]) -> dict[str, Any]:
    kind = output.get("output_type")
    if kind == "stream":
        return stream(clean(_text(output.get("text")), TEXT_LIMIT), "stderr" if output.get("name") == "stderr" else "stdout")
    if kind == "error":
        ename, evalue = one_line(_text(output.get("ename"))), one_line(_text(output.get("evalue")))
        trace = output.get("traceback")
        text = "\n".join(_text(line) for line in trace) if isinstance(trace, list) else f"{ename}: {evalue}"
        return {"output_type": "error", "ename": ename, "evalue": evalue, "traceback": [clean(text, TEXT_LIMIT)]}
    data = output.get("data")
    return _display(data) if isinstance(data, Mapping) else _note("an output that is no output of a notebook is not shown")


def _display(data: Mapping[str, Any]) -> dict[str, Any]:
    problem = ""
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            encoded, problem = _picture(_text(data[kind]), kind)
            if encoded:
                return {"output_type": "display_data", "metadata": {kind: {"alt": "what this cell drew"}}, "data": {kind: encoded}}
    if "text/plain" in data:
        return {"output_type": "display_data", "metadata": {}, "data": {"text/plain": clean(_text(data["text/plain"]), TEXT_LIMIT)}}
    return _note(problem or f"an output of the kind {one_line(', '.join(map(str, data)), 100) or 'unknown'} is not shown")


def _picture(encoded: str, kind: str) -> tuple[str, str]:
    """The picture in base64, or "" and why it is not shown."""
    if len(encoded) > 2 * IMAGE_BYTES:
        return "", f"a picture of more than {IMAGE_BYTES:,} bytes is not shown"
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        return "", "a picture that is not base64 is not shown"
    if len(content) > IMAGE_BYTES:
        return "", f"a picture of {len(content):,} bytes is not shown: more than {IMAGE_BYTES:,}"
    size = _png_size(content) if kind == "image/png" else _jpeg_size(content)
    if size is None:
        return "", f"what is called {kind} and is none is not shown"
    if not 0 < size[0] * size[1] <= IMAGE_PIXELS:
        return "", f"a picture of {size[0]:,} by {size[1]:,} pixels is not shown"
    return base64.b64encode(content).decode("ascii"), ""


def _png_size(content: bytes) -> tuple[int, int] | None:
    if not content.startswith(_PNG) or content[12:16] != b"IHDR" or len(content) < 33:
        return None
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Width and height, from the first frame header (ITU-T T.81, B.2.2)."""
    if not content.startswith(_JPEG):
        return None
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker in _JPEG_SIZE_MARKERS:
            return int.from_bytes(content[at + 7 : at + 9], "big"), int.from_bytes(content[at + 5 : at + 7], "big")
        at += 2 + length
    return None


def _note(text: str) -> dict[str, Any]:
    return stream(f"[{text[:1].upper()}{text[1:]}.]")


def _text(value: object) -> str:
    """A text of a notebook, which may stand there as a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""
