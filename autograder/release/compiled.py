"""What of a Python source survives its compilation or pickling: the bytes of its code, its names and its texts."""

from __future__ import annotations

import ast
import importlib.util
import pickletools
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType

_LEAST_CODE_BYTES = 120  # shorter functions of other names compile to the same bytes
_ANCHOR = slice(16, 40)  # the first instructions of many functions are alike
_LEAST_TEXT = 20
_LEAST_NAME = 8
_PYC_HEADER_BYTES = 16
_MARSHALLED_CODE = (0x63, 0xE3)


def code_bytes(source: str) -> Iterator[bytes]:
    """The byte code of each function that is long enough to be told by it, at each level of optimisation, as this Python compiles it."""
    for level in (0, 1, 2):
        pending = [compile(source, "<source>", "exec", dont_inherit=True, optimize=level)]
        while pending:
            code = pending.pop()
            pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
            if code.co_name != "<module>" and len(code.co_code) >= _LEAST_CODE_BYTES:
                yield code.co_code


def by_anchor(codes: Iterable[tuple[bytes, str]]) -> dict[bytes, list[tuple[bytes, str]]]:
    """(byte code, source) pairs by a piece near their beginning, for `first_code`."""
    found: dict[bytes, list[tuple[bytes, str]]] = {}
    for code, source in codes:
        found.setdefault(code[_ANCHOR], []).append((code, source))
    return found


def first_code(data: bytes, known: Mapping[bytes, list[tuple[bytes, str]]]) -> str | None:
    """The source of the first byte code in `data` that is `known`."""
    width = _ANCHOR.stop - _ANCHOR.start
    for place in range(_ANCHOR.start, len(data) - width + 1):
        for code, source in known.get(data[place : place + width], ()):
            if data.startswith(code, place - _ANCHOR.start):
                return source
    return None


def vocabulary(tree: ast.AST) -> set[str]:
    """Names of several words and texts of a sentence: what a compiled or pickled form still holds as it stands. No docstrings."""
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        for field in ("id", "name", "attr", "arg"):
            name = getattr(node, field, None)
            if isinstance(name, str) and len(name) >= _LEAST_NAME and "_" in name.strip("_"):
                found.add(name)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) >= _LEAST_TEXT:
            found.add(node.value)
    return found - {text for text in docstrings if text is not None}


def unreadable_kind(data: bytes) -> str | None:
    """What `data` is, when it is code or objects that cannot be looked into without running or trusting them."""
    if len(data) > _PYC_HEADER_BYTES and data[2:4] == b"\r\n" and data[_PYC_HEADER_BYTES] in _MARSHALLED_CODE:
        return None if data[:4] == importlib.util.MAGIC_NUMBER else "Python compiled by another version"
    if data[:1] == b"\x80" and data[1:2] in b"\x02\x03\x04\x05" and _is_pickle(data):
        return "a pickle"
    return None


def _is_pickle(data: bytes) -> bool:
    try:
        return any(opcode.name == "STOP" for opcode, _, _ in pickletools.genops(data))
    except Exception:  # whatever it says: these bytes are not one
        return False
