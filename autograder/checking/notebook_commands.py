"""A cell's text as Python: what only a notebook understands (magics, shell lines, help, prompts) is taken out, line for line."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass

_PYTHON_CELLS = frozenset(["time", "timeit", "capture", "prun"])  # cell magics whose cell is Python all the same
_CELL_MAGIC = re.compile(r"(\s*)%%(\w*)[^\n]*")
_COMMAND = re.compile(
    r"(?P<indent>[ \t]*)(?:(?P<escape>%{1,2}|!{1,2}|\?{1,2}|[,;/](?=[A-Za-z_]))(?P<name>[A-Za-z_]\w*)?"
    r"|(?P<help>%{0,2}[A-Za-z_*][\w.*]*(?:\[[^\]\n]*\])*\?{1,2})[ \t]*(?=\n|$))"
)
_TIMED = re.compile(r"[ \t]*%time(?:[ \t]+--no-raise-error)?[ \t]+(?=\S)")
_TOKEN = re.compile(
    r"\#[^\n]*"
    r'|"""(?:[^"\\]++|\\.|"(?!""))*+(?:""")?'
    r"|'''(?:[^'\\]++|\\.|'(?!''))*+(?:''')?"
    r'|"(?:[^"\\\n]++|\\.)*+"?|\'(?:[^\'\\\n]++|\\.)*+\'?'
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|\\\n|(?P<end>\n)"
    r"|(?P<assigned>(?<![=<>!:+\-*/%&|^@])=[ \t]*(?=!|%[A-Za-z_]))",
    re.DOTALL,
)
_CONTINUED = re.compile(r"(?:[^\n\\]++|\\\n|\\)*+")
_PROMPT = re.compile(r"^(?:>>> ?|\.\.\. ?|In \[\d+\]: ?| *\.\.\.+: ?)", re.MULTILINE)
_MAX_CELL_MAGICS = 5
_NAMES_SHOWN = re.compile(r"[A-Za-z_]\w{0,19}", re.ASCII)


@dataclass(frozen=True)
class Command:
    """`words` say what it is: "%matplotlib", "a shell line". `name` is what it would have assigned, "" when nothing."""

    line: int
    words: str
    name: str = ""


@dataclass(frozen=True)
class PythonText:
    """`text` has as many lines as the cell. `foreign` names the cell magic of a cell that is no Python ("%%bash"): `text` is empty then."""

    text: str
    commands: tuple[Command, ...] = ()
    foreign: str = ""


def python_of(source: str) -> PythonText:
    """`%time x = f()` becomes `x = f()`, `files = !ls` becomes `files = None`, other commands become nothing."""
    commands: list[Command] = []
    text = source
    for _ in range(_MAX_CELL_MAGICS):
        magic = _CELL_MAGIC.match(text)
        if magic is None:
            break
        words = f"%%{magic[2]}" if _NAMES_SHOWN.fullmatch(magic[2]) else "a cell magic"
        if magic[2] not in _PYTHON_CELLS:
            return PythonText("\n" * source.count("\n"), (), words)
        commands.append(Command(magic[1].count("\n") + 1, words))
        text = magic[1] + text[magic.end() :]
        if not text.strip() or "\n" not in text[len(magic[1]) :]:
            break
    if parsed(text) is None:
        text = _without_prompts(text)
    if parsed(text) is None:  # a line may begin with % or ! inside brackets or a text
        text = _rewritten(text, commands)
    return PythonText(text, tuple(commands))


def parsed(source: str) -> ast.Module | None:
    """The syntax tree of `source`, None when it is no Python."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _without_prompts(text: str) -> str:
    """Pasted prompts and an indentation of the whole cell, which IPython forgives."""
    first = text.lstrip("\n")
    if _PROMPT.match(first):
        text = _PROMPT.sub("", text)
    first = text.lstrip("\n")
    indent = first[: len(first) - len(first.lstrip(" \t"))]
    if not indent:
        return text
    all_indented = all(line.startswith(indent) for line in text.split("\n") if line.strip())
    return re.sub(rf"^{indent}", "", text, count=0 if all_indented else 1, flags=re.MULTILINE)


def _rewritten(text: str, commands: list[Command]) -> str:
    parts: list[str] = []
    position, line = 0, 1
    while position < len(text):
        command = _COMMAND.match(text, position)
        if command is not None:
            end = _end_of_command(text, position)
            raw = text[position:end]
            if _TIMED.match(raw) is None:
                commands.append(Command(line, _words(command)))
            parts.append(_replacement(raw, command))
        else:
            end, assigned = _logical_line(text, position)
            raw = text[position:end]
            if assigned is not None:
                raw = _assigned(text, position, assigned, line, commands, parts)
                end = position + len(raw)
            else:
                parts.append(raw)
        line += raw.count("\n") + 1
        position = end + 1
        if end < len(text):
            parts.append("\n")
    return "".join(parts)


def _end_of_command(text: str, start: int) -> int:
    match = _CONTINUED.match(text, start)
    return match.end() if match is not None else len(text)


def _logical_line(text: str, start: int) -> tuple[int, int | None]:
    """Where it ends, and where in it a command is assigned."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token["open"]:
            depth += 1
        elif token["close"]:
            depth = max(0, depth - 1)
        elif token["end"] and depth == 0:
            return token.start(), None
        elif token["assigned"] and depth == 0:
            return token.start(), token.end()
    return len(text), None


def _replacement(raw: str, command: re.Match[str]) -> str:
    timed = _TIMED.match(raw)
    if timed is not None:
        return command["indent"] + raw[timed.end() :]
    return (f"{command['indent']}pass" if command["indent"] else "") + "\n" * raw.count("\n")


def _assigned(text: str, start: int, value: int, line: int, commands: list[Command], parts: list[str]) -> str:
    """Writes the line anew and returns the raw text that it stands for."""
    raw = text[start : _end_of_command(text, value)]
    before, magic = text[start:value], text[value : start + len(raw)]
    timed = _TIMED.match(magic)
    target = before[:-1].rstrip(" \t=").strip()
    shown = target if _NAMES_SHOWN.fullmatch(target) else ""
    found = _COMMAND.match(magic)
    if timed is None:
        commands.append(Command(line + before.count("\n"), _words(found) if found else "a command", shown))
    parts.append(before + magic[timed.end() :] if timed else before.rstrip() + " None" + "\n" * magic.count("\n"))
    return raw


def _words(command: re.Match[str]) -> str:
    if command["help"] or command["escape"].startswith("?"):
        return "a question for help"
    if command["escape"].startswith("!"):
        return "a shell line"
    name = command["name"] or ""
    return f"%{name}" if command["escape"].startswith("%") and _NAMES_SHOWN.fullmatch(name) else "a magic"
