"""Untrusted text made safe to show: in a terminal, in Markdown and, once escaped by the template, in HTML.

Names of folders, exception texts and lines of a submission were written by students. What they may do to a reader: move
a terminal's cursor, reverse the direction of a line, hide characters, fill the page, or become links, images and mentions.
"""

from __future__ import annotations

import re
import unicodedata

TEXT_LIMIT = 4000
LINE_LIMIT = 200
NAME_LIMIT = 64
COMBINING_LIMIT = 4  # marks on one letter; scripts in use need fewer, and a tower of them covers the lines above

_TERMINAL_ESCAPE = re.compile(
    r"(?:\x1b[P\]X^_]|[\x90\x9d\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"  # strings: titles, links, device control
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # control sequences: colours, cursor
    r"|\x1b[ -/]*[0-~]?",  # the rest
    re.DOTALL,
)
_LINE_END = re.compile(r"\r\n|[\r\v\f\x85\u2028\u2029]")
_ABSOLUTE_PATH = re.compile(r"""(?<![^\s"'`(\[{<=:,])(?:file:/+|[A-Za-z]:\\|/)(?:[^\s"'`()<>\[\]{}/\\:,;]+[/\\])+""")
_MARKDOWN_SPECIAL = re.compile(r"[\\`*\[\]<>~|$^{}]|(?<![^\W_])_|_(?![^\W_])")  # d_model stays as it is: an underscore inside a word is text
_REFERENCE = re.compile(r"(?<=[@#!%~$])(?=\w)")  # @name, #12, !12: forges look for these in the rendered text, where no backslash helps
_LINK_SCHEME = re.compile(r":(?=//)|(?<=www)\.|(?<=mailto):|(?<=xmpp):", re.IGNORECASE)
_BLOCK_START = re.compile(r"^(?:([#+=:-])|(\d{1,9})([.)])(?=\s|$))")


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """`text` with only what prints: line ends become \\n, tabs spaces, and a note says how much was cut beyond `limit`.

    Removed: terminal escapes, control characters, and all of Unicode's format characters (direction overrides, zero-width
    characters, tags). Half a surrogate pair becomes U+FFFD.
    """
    # What is far too long is cut before the work, with room for what the work removes.
    beyond = max(0, len(text) - 8 * limit)
    text = _TERMINAL_ESCAPE.sub("", text[: len(text) - beyond])
    text = _LINE_END.sub("\n", text).replace("\t", "    ")
    kept: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category == "Cs":
            kept.append("\ufffd")
        elif character == "\n" or (category not in ("Cc", "Cf") and marks <= COMBINING_LIMIT):
            kept.append(character)
    cleaned = "".join(kept)
    beyond += max(0, len(cleaned) - limit)
    return f"{cleaned[:limit]} [… {beyond:,} more characters]" if beyond else cleaned


def one_line(text: str, limit: int = LINE_LIMIT) -> str:
    """`clean` text on one line, cut to `limit` characters with an ellipsis."""
    line = " ".join(clean(text, 2 * limit).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def name(text: str, limit: int = NAME_LIMIT) -> str:
    """A student's or an assignment's name, never empty."""
    return one_line(text, limit) or "(unnamed)"


def without_folders(text: str) -> str:
    """Absolute paths cut to the file's name, since folders of the grading machine are nobody's business."""
    return _ABSOLUTE_PATH.sub("…/", text)


def source_line(source: str, line: int) -> str | None:
    """Line `line` (from 1, counted as Python counts) of a submission, cleaned; None when there is no such line."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not 1 <= line <= len(lines):
        return None
    cleaned = clean(lines[line - 1].replace("\n", " "), LINE_LIMIT).replace("\n", " ").strip()
    return cleaned or None


def escape_markdown(text: str) -> str:
    """`text` as Markdown that renders as exactly that text: no structure, HTML, link, image, mention or formula.

    Line breaks are kept as hard breaks. Works for CommonMark and for what GitHub and GitLab add to it.
    """
    return "\\\n".join(_escape_line(line) for line in clean(text).split("\n") if line.strip())


def _escape_line(line: str) -> str:
    escaped = _MARKDOWN_SPECIAL.sub(r"\\\g<0>", line.strip().replace("&", "&amp;"))
    escaped = _LINK_SCHEME.sub(r"&#8203;\g<0>", _REFERENCE.sub("&#8203;", escaped))
    return _BLOCK_START.sub(lambda m: f"\\{m[1]}" if m[1] else f"{m[2]}\\{m[3]}", escaped)  # last, to see how the line begins now


def markdown_code(text: str) -> str:
    """A fenced block that holds `text`, whatever backticks it has."""
    cleaned = clean(text)
    longest = max((len(run) for run in re.findall(r"`+", cleaned)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{cleaned}\n{fence}"
