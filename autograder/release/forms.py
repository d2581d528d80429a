"""Every form in which a file may hold text: as it stands, or inside archives, notebooks, Python constants and encodings.

Nothing is run, imported or unpickled, and what is unpacked has bounds.
"""

from __future__ import annotations

import ast
import base64
import binascii
import bz2
import gzip
import html
import io
import json
import lzma
import re
import tarfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from autograder.checking.notebook_commands import parsed

MAX_DEPTH = 5
MAX_BYTES = 64 << 20  # of all that one file holds, unpacked

_LEAST_CONSTANT = 40
_PRINTABLE_RUN = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f�]{4,}")
_ENCODED = re.compile(r"[A-Za-z0-9+/_=-]{24,}(?:[\s\"'\\,+()]{1,16}[A-Za-z0-9+/_=-]{24,})*(?:[\s\"'\\,+()]{1,16}[A-Za-z0-9+/_=-]{2,})?")
_HEX = re.compile(r"[0-9A-Fa-f]{64,}")
_ZLIB_HEADER = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_PNG = b"\x89PNG\r\n\x1a\n"
_TAG = re.compile(r"<[^<>]*>|\x1b\[[0-9;]*[A-Za-z]")
_LINE_START = re.compile(r"^[ \t]*(?:[-+>|#]+|>>>|\.\.\.|\d+[.:|]?)[ ]?", re.MULTILINE)


class TooMuchError(Exception):
    """A file holds more than can be looked at."""


@dataclass(frozen=True)
class Form:
    """A text, or bytes that are none. `where` says in words how it lies in the file, "" when the file is it."""

    where: str
    data: bytes
    text: str | None


@dataclass
class _Budget:
    left: int = MAX_BYTES
    seen: set[int] = field(default_factory=set)

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise TooMuchError(f"it holds more than {MAX_BYTES >> 20} MiB")


def forms(data: bytes) -> Iterator[Form]:
    """Raises TooMuchError when what is inside exceeds the bounds."""
    yield from _forms(data, "", 0, _Budget())


def _forms(data: bytes, where: str, depth: int, budget: _Budget) -> Iterator[Form]:
    budget.spend(len(data))
    key = hash(data)
    if key in budget.seen:
        return
    budget.seen.add(key)
    text = _text_of(data)
    yield Form(where, data, text)
    if depth >= MAX_DEPTH:
        return
    for inner_where, inner in _unpacked(data, text, budget):
        yield from _forms(inner, f"{where}, {inner_where}" if where else inner_where, depth + 1, budget)


def _text_of(data: bytes) -> str | None:
    for encoding, fits in (("utf-8-sig", True), ("utf-16", data[:2] in (b"\xff\xfe", b"\xfe\xff")), ("utf-16-le", data[1:40:2].count(0) >= 15)):
        if fits:
            try:
                text = data.decode(encoding)
            except UnicodeDecodeError:
                continue
            if "\0" not in text:
                return text
    return None


def _unpacked(data: bytes, text: str | None, budget: _Budget) -> Iterator[tuple[str, bytes]]:
    if text is None:
        yield from _unpacked_binary(data, budget)
        yield "its readable parts", "\n".join(_PRINTABLE_RUN.findall(data.decode("utf-8", "replace"))).encode("utf-8", "replace")
        return
    yield from _rewritten(text)
    yield from _strings_of_json(text)
    yield from _strings_of_python(text)
    yield from _decoded(text)


def _unpacked_binary(data: bytes, budget: _Budget) -> Iterator[tuple[str, bytes]]:
    openers: tuple[tuple[bytes, Callable[[io.BytesIO], Any]], ...] = (
        (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
        (b"BZh", bz2.BZ2File),
        (b"\xfd7zXZ\x00", lzma.LZMAFile),
    )
    for magic, opener in openers:
        if data.startswith(magic):
            try:
                inner = opener(io.BytesIO(data)).read(budget.left + 1)
            except (OSError, EOFError, zlib.error, lzma.LZMAError):
                continue
            yield "compressed", inner
    if zipfile.is_zipfile(io.BytesIO(data)):
        yield from _zip_members(data, budget)
    yield from _tar_members(data, budget)
    for found in () if data.startswith(_PNG) else _ZLIB_HEADER.finditer(data):  # an image's compressed bytes are its pixels
        try:
            inner = zlib.decompressobj().decompress(data[found.start() :], budget.left + 1)
        except zlib.error:
            continue
        if len(inner) >= _LEAST_CONSTANT:
            yield "compressed", inner


def _zip_members(data: bytes, budget: _Budget) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if member.flag_bits & 1:
                    raise TooMuchError(f"its member {member.filename!r} is encrypted")
                with archive.open(member) as file:
                    yield f"its member {member.filename!r}", file.read(budget.left + 1)
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, zlib.error, lzma.LZMAError):
        return


def _tar_members(data: bytes, budget: _Budget) -> Iterator[tuple[str, bytes]]:
    if data[257:262] != b"ustar":
        return
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                if file is not None:
                    yield f"its member {member.name!r}", file.read(budget.left + 1)
    except (tarfile.TarError, OSError, EOFError):
        return


def _rewritten(text: str) -> Iterator[tuple[str, bytes]]:
    if "<" in text or "\x1b" in text:
        yield "without its markup", html.unescape(_TAG.sub(" ", text)).encode("utf-8", "replace")
    if "&" in text:
        yield "with its entities read", html.unescape(text).encode("utf-8", "replace")
    if text.count("%") >= 8:
        yield "with its escapes read", urllib.parse.unquote(text).encode("utf-8", "replace")
    if len(_LINE_START.findall(text)) >= 2:
        yield "without what its lines begin with", _LINE_START.sub("", text).encode("utf-8", "replace")


def _strings_of_json(text: str) -> Iterator[tuple[str, bytes]]:
    if text.lstrip()[:1] not in ("{", "["):
        return
    try:
        pending = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            pending.append("".join(value))
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str) and len(value) >= _LEAST_CONSTANT // 2:
            yield "a text of its JSON", value.encode("utf-8", "replace")


def _strings_of_python(text: str) -> Iterator[tuple[str, bytes]]:
    tree = parsed(text)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and len(node.value) >= _LEAST_CONSTANT:
            yield f"a text on line {node.lineno}", node.value if isinstance(node.value, bytes) else node.value.encode("utf-8", "replace")


def _decoded(text: str) -> Iterator[tuple[str, bytes]]:
    for found in _ENCODED.finditer(text):
        encoded = re.sub(r"[^A-Za-z0-9+/_=-]", "", found[0]).rstrip("=").translate(str.maketrans("-_", "+/"))
        if len(encoded) >= _LEAST_CONSTANT and len(set(encoded)) > 8:
            try:
                yield "decoded from base64", base64.b64decode(encoded[: len(encoded) - (len(encoded) % 4 == 1)] + "==")
            except (binascii.Error, ValueError):
                continue
    for found in _HEX.finditer(text):
        yield "decoded from hexadecimal digits", bytes.fromhex(found[0][: len(found[0]) // 2 * 2])
