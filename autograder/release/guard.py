"""Whether a file gives away what students must not have, by what it holds and not by what it is called.

It is made against accidents: a solution left in a handout, a notebook that was run, a folder zipped too early. Someone who
means to smuggle a secret out can always rewrite it until nothing resembles it.
"""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from autograder.checking.notebook_commands import parsed
from autograder.release.compiled import by_anchor, code_bytes, first_code, unreadable_kind, vocabulary
from autograder.release.forms import Form, TooMuchError, forms
from autograder.release.secrets import Kind, Secrets
from autograder.release.structure import first_shared, signatures
from autograder.release.wording import LEAST_SENTENCE, WINDOW, Run, known_windows, letters, longest_run, telling_parts, windows

# Letters and digits in a row, shared with a secret, that are too many to be chance. The longest that legitimate files share
# today: 53 with a solution, 90 with a hidden test (a helper that a public test has too), 40 with a misconception.
_LONGEST_SHARED = {"solutions": 80, "tests": 120, "misconceptions": 60, "answers": 60}

# Of the names and texts of a file, those that a leak shows: handouts show 7 in a hundred of a hidden suite's.
_LEAST_WORDS = 8
_LEAST_SHARE = 0.3

_RUN_START = 16
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_FENCE = re.compile(r"^([ \t]*)(```+|~~~+)[^\n]*\n(.*?)^[ \t]*\2", re.MULTILINE | re.DOTALL)
_DEFINITION = re.compile(r"^([ \t]*)(?:async +)?(?:def|class) ", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """`path` holds `what`; `where` says in which form, "" when it lies there open."""

    path: str
    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.path} {self.what}" + (f" ({self.where})" if self.where else "")


class Guard:
    """Compares files with the secrets of a course. Making one takes a second or two, looking at a file milliseconds."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def look(self, files: Mapping[str, bytes]) -> list[Finding]:
        """What the files give away; at most one finding for a file."""
        return [finding for path, data in files.items() if (finding := self._look_at(path, data)) is not None]

    def _look_at(self, path: str, data: bytes) -> Finding | None:
        try:
            for form in forms(data):
                kind = unreadable_kind(form.data) if form.text is None else None
                what = f"is {kind}, which cannot be looked into" if kind and not form.where else f"holds {kind}, which cannot be looked into"
                found = what if kind else self._given_away(form)
                if found is not None:
                    return Finding(path, found, form.where)
        except TooMuchError as error:
            return Finding(path, "cannot be looked into", str(error))
        return None

    def _given_away(self, form: Form) -> str | None:
        if form.text is None:
            compiled = first_code(form.data, self._code)
            return f"holds compiled code of {compiled}" if compiled else None
        text_windows = list(windows(form.text))
        return self._wording(form.text, text_windows) or self._structure(form.text) or self._words(form.text, text_windows)

    def _wording(self, text: str, text_windows: list[tuple[int, str]]) -> str | None:
        for group, known in self._windows.items():
            run = longest_run(text_windows, known)
            if run is not None and run.characters >= _LONGEST_SHARED[group]:
                return f"holds a part of {run.source}, {_place(text, run)}"
        stream = letters(text)
        begun = (pair for _, window in text_windows for pair in self._sentences.get(window, ()))
        said = next((source for sentence, source in (*begun, *self._short_sentences) if sentence in stream), None)
        return f"holds a sentence of {said}" if said else None

    def _structure(self, text: str) -> str | None:
        for code, line in code_in(text):
            shared = first_shared(code, self._signatures)
            if shared is not None:
                return f"holds code of {shared[0]} with other names, line {line + shared[1]}"
        return None

    def _words(self, text: str, text_windows: list[tuple[int, str]]) -> str | None:
        """Names and texts are what is left of source in any compiled or pickled form of it."""
        pieces = {*_IDENTIFIER.findall(text), *(window for _, window in text_windows)}
        seen: dict[str, set[str]] = {}
        for piece in pieces:
            for source, word in self._word_of.get(piece, ()):
                seen.setdefault(source, set()).add(word)
        for source, words in seen.items():
            if len(words) >= max(_LEAST_WORDS, _LEAST_SHARE * self._vocabulary_size[source]):
                return f"holds the names and texts of {source}"
        return None

    @cached_property
    def _windows(self) -> dict[str, dict[str, str]]:
        public = {window for shown in (*self._secrets.stubs, *self._secrets.questions) for _, window in windows(shown)}
        return {group: known_windows(self._parts(group), public) for group in _LONGEST_SHARED}

    def _parts(self, group: str) -> Iterator[tuple[str, str]]:
        if group == "answers":
            yield from ((str(answer), answer.prose) for answer in self._secrets.answers)
        for secret in self._secrets.files:
            if group == ("solutions" if secret.kind.is_solution else "tests" if secret.kind is Kind.HIDDEN_TEST else "misconceptions"):
                yield from ((str(secret), part) for part in telling_parts(secret.text, secret.tree))

    @cached_property
    def _said(self) -> list[tuple[str, str]]:
        """What misconceptions and model answers say, as letters, with the file that says it."""
        banks = [secret for secret in self._secrets.files if secret.kind is Kind.MISCONCEPTION]
        said = [(letters(sentence), str(secret)) for secret in banks for sentence in _sentences_of(secret.tree)]
        told = [(sentence, source) for sentence, source in said if len(sentence) >= LEAST_SENTENCE]
        shown = letters("\n".join(self._secrets.questions))
        return told + [(sentence, str(answer)) for answer in self._secrets.answers for sentence in answer.sentences() if sentence not in shown]

    @cached_property
    def _sentences(self) -> dict[str, list[tuple[str, str]]]:
        """By their first window, since a text has thousands of places and a bank hundreds of sentences."""
        found: dict[str, list[tuple[str, str]]] = {}
        for sentence, source in self._said:
            if len(sentence) >= WINDOW:
                found.setdefault(sentence[:WINDOW], []).append((sentence, source))
        return found

    @cached_property
    def _short_sentences(self) -> list[tuple[str, str]]:
        return [(sentence, source) for sentence, source in self._said if len(sentence) < WINDOW]

    @cached_property
    def _signatures(self) -> dict[tuple[str, ...], str]:
        shown = [*map(ast.parse, self._secrets.stubs), *(code for text in self._secrets.questions for code, _ in code_in(text))]
        public = {signature for tree in shown for signature, _ in signatures(tree)}
        known: dict[tuple[str, ...], str] = {}
        for secret in self._secrets.files:
            for signature, _ in signatures(secret.tree):
                if signature not in public:
                    known.setdefault(signature, str(secret))
        return known

    @cached_property
    def _vocabularies(self) -> dict[str, list[str]]:
        public = "\n".join(self._secrets.stubs)
        files = [secret for secret in self._secrets.files if secret.kind is not Kind.ANSWER]  # every drawing uses the same names
        return {str(secret): [word for word in vocabulary(secret.tree) if word not in public] for secret in files}

    @cached_property
    def _vocabulary_size(self) -> dict[str, int]:
        return {source: len(words) for source, words in self._vocabularies.items()}

    @cached_property
    def _word_of(self) -> dict[str, list[tuple[str, str]]]:
        """For a name, or for any window of a text, the sources that have it."""
        found: dict[str, list[tuple[str, str]]] = {}
        for source, words in self._vocabularies.items():
            for word in words:
                for piece in (word,) if _IDENTIFIER.fullmatch(word) else {window for _, window in windows(word)}:
                    found.setdefault(piece, []).append((source, word))
        return found

    @cached_property
    def _code(self) -> dict[bytes, list[tuple[bytes, str]]]:
        public = {code for stub in self._secrets.stubs for code in code_bytes(stub)}
        return by_anchor((code, str(secret)) for secret in self._secrets.files for code in code_bytes(secret.text) if code not in public)


def code_in(text: str) -> Iterator[tuple[ast.Module, int]]:
    """The Python code in a text of any kind, each piece with the number of lines before it."""
    whole = parsed(text)
    if whole is not None:
        yield whole, 0
        return
    pieces = [(found.start(3), found[3]) for found in _FENCE.finditer(text)]
    pieces += [(found.start(), _block_at(text[found.start() :], found[1])) for found in _DEFINITION.finditer(text)]
    for start, piece in pieces:
        code = parsed(textwrap.dedent(piece))
        if code is not None:
            yield code, text.count("\n", 0, start)


def _block_at(text: str, indent: str) -> str:
    """The lines from the first one on that are blank, are indented deeper, or close its bracket."""
    first, *rest = text.splitlines(keepends=True)
    own = itertools.takewhile(lambda line: not line.strip() or line.startswith((indent + " ", indent + "\t", indent + ")")), rest)
    return first + "".join(own)


def _sentences_of(bank: ast.Module) -> Iterator[str]:
    for node in ast.walk(bank):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Misconception":
            said = [*node.args[1:2], *(keyword.value for keyword in node.keywords if keyword.arg == "says")]
            yield from (part.value for part in said if isinstance(part, ast.Constant) and isinstance(part.value, str))


def _place(text: str, run: Run) -> str:
    """The line where the run begins."""
    for number, line in enumerate(text.splitlines(), 1):
        if letters(line) and run.begins.startswith(letters(line)[:_RUN_START]):
            return f"line {number}"
    return "in the middle of a line"
