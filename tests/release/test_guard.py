"""Every secret of the course is found in many disguises, and the release itself is clean."""

from __future__ import annotations

import ast
import base64
import bz2
import gzip
import html
import io
import json
import lzma
import marshal
import pickle
import py_compile
import re
import tarfile
import textwrap
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autograder.release.errors import ReleaseError
from autograder.release.guard import Guard
from autograder.release.secrets import Kind, Secret, Secrets, read_secrets

REPOSITORY = Path(__file__).resolve().parents[2]
PLANTED = {
    "reference": "reference_solutions/attention.py",
    "hidden tests": "autograder/hidden_tests/test_attention.py",
    "misconceptions": "autograder/misconceptions/attention.py",
    "alternative": "tests/alternative_solutions/attention/by_hand_softmax_upcast.py",
    "example": "examples/submissions/ada.lovelace/02_positional_encoding/positional_encoding.py",
}


def as_zip(text: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("holiday.jpg", text)
    return file.getvalue()


def as_tar_gz(text: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("notes")
        member.size = len(text.encode())
        archive.addfile(member, io.BytesIO(text.encode()))
    return file.getvalue()


def as_notebook(text: str, where: str) -> bytes:
    lines = text.splitlines(keepends=True)
    output = {"output_type": "stream", "name": "stdout", "text": lines}
    source = {"cell_type": "code", "source": lines if where == "source" else [], "outputs": [output] if where == "output" else []}
    return json.dumps({"cells": [source], "nbformat": 4}).encode()


def as_pyc(text: str) -> bytes:
    return b"\0" * 16 + marshal.dumps(compile(text, "x.py", "exec", dont_inherit=True))


def in_a_handout(text: str) -> bytes:
    handout = (REPOSITORY / "assignments/01_attention/README.md").read_text(encoding="utf-8")
    return handout.replace("## Hints", f"```python\n{text}\n```\n\n## Hints").encode()


def in_markup(text: str) -> bytes:
    words = re.sub(r"(\w+)", r"<span class='n'>\1</span>", html.escape(text, quote=False))
    return f"<html><pre>{words}</pre></html>".encode()


DISGUISES: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda text: text.encode(),
    "in a handout": in_a_handout,
    "as a quotation": lambda text: ("Look:\n\n" + textwrap.indent(text, "> ", lambda line: True)).encode(),
    "commented out": lambda text: textwrap.indent(text, "# ", lambda line: True).encode(),
    "as a patch": lambda text: ("@@ -0,0 +1,99 @@\n" + textwrap.indent(text, "+", lambda line: True)).encode(),
    "with numbered lines": lambda text: "\n".join(f"{number:4}  {line}" for number, line in enumerate(text.splitlines(), 1)).encode(),
    "reformatted": lambda text: ast.unparse(ast.parse(text)).encode(),
    "with other spaces": lambda text: re.sub(r"[ \t]+", "\t", text).replace("\n", "\r\n\r\n").encode(),
    "in another encoding": lambda text: text.encode("utf-16"),
    "in a notebook": lambda text: as_notebook(text, "source"),
    "in a notebook's output": lambda text: as_notebook(text, "output"),
    "as a Python text": lambda text: f"SOURCE = {text!r}\n".encode(),
    "in markup": in_markup,
    "in a zip file": as_zip,
    "in a tar.gz": as_tar_gz,
    "gzip": lambda text: gzip.compress(text.encode()),
    "bz2": lambda text: bz2.compress(text.encode()),
    "xz": lambda text: lzma.compress(text.encode()),
    "zlib inside a file": lambda text: b"%PDF-1.4\x00\xff stream" + zlib.compress(text.encode()) + b"endstream",
    "zip behind an image": lambda text: b"\x89PNG\r\n\x1a\n" + b"\0\xff" * 50 + as_zip(text),
    "base64": lambda text: base64.encodebytes(text.encode()),
    "urlsafe base64 of gzip": lambda text: base64.urlsafe_b64encode(gzip.compress(text.encode())),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "zip in base64 in a notebook": lambda text: as_notebook(base64.b64encode(as_zip(text)).decode(), "output"),
    "compiled": as_pyc,
    "marshalled": lambda text: marshal.dumps(compile(text, "x.py", "exec", dont_inherit=True)),
    "compiled by another Python": lambda text: b"\x55\x0d\x0d\x0a" + as_pyc(text)[4:],
    "pickled tree": lambda text: pickle.dumps(ast.parse(text)),
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("secret", PLANTED)
def test_a_secret_is_found_in_disguise(guard: Guard, secret: str, disguise: str) -> None:
    text = (REPOSITORY / PLANTED[secret]).read_text(encoding="utf-8")
    assert guard.look({"docs/holiday.txt": DISGUISES[disguise](text)})


@pytest.mark.parametrize("secret", ["hidden tests", "misconceptions"])
def test_a_printed_tree_is_known_by_its_names_and_texts(guard: Guard, secret: str) -> None:
    text = (REPOSITORY / PLANTED[secret]).read_text(encoding="utf-8")
    assert guard.look({"docs/tree.txt": ast.dump(ast.parse(text)).encode()})


def test_every_secret_file_is_known(guard: Guard, secrets: Secrets) -> None:
    """All of them, but for those that hold nothing: an empty package, a solution that is a stub."""
    seen = {finding.path for finding in guard.look({secret.path: secret.text.encode() for secret in secrets.files})}
    unseen = [secret for secret in secrets.files if secret.path not in seen]
    assert [secret.path for secret in unseen if secret.kind is not Kind.EXAMPLE and not secret.path.endswith("__init__.py")] == []
    assert len(unseen) < 10


def test_each_single_misconception_is_known(guard: Guard) -> None:
    from autograder.misconceptions.bank import load_bank

    said = [entry.says for name in ("attention", "positional_encoding", "multi_head_attention") for entry in load_bank(name)]
    pages = {f"{number}.md": f"# Mistakes\n\nA common one: {sentence} Think about it.\n".encode() for number, sentence in enumerate(said)}
    assert len(guard.look(pages)) == len(said)


def functions(text: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]


def renamed(function: ast.FunctionDef) -> str:
    """The function with other names for its variables, other texts, and nothing to read in it."""
    copy = ast.parse(ast.unparse(function)).body[0]
    assert isinstance(copy, ast.FunctionDef)
    local = {node.id for node in ast.walk(copy) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    local |= {node.arg for node in ast.walk(copy) if isinstance(node, ast.arg)}
    names = {name: f"v{number}" for number, name in enumerate(sorted(local))}
    for node in ast.walk(copy):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg, node.annotation = names[node.arg], None
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = "…"
    copy.name, copy.returns, copy.decorator_list = "f", None, []
    return ast.unparse(copy)


@pytest.mark.parametrize("name", ["attention", "multi_head_attention", "flash_attention"])
def test_a_solution_with_other_names_is_found(guard: Guard, name: str) -> None:
    text = (REPOSITORY / f"reference_solutions/{name}.py").read_text(encoding="utf-8")
    solved = [part for part in text.split("### BEGIN SOLUTION")[1:] if len(part.split("### END SOLUTION")[0].splitlines()) > 6]
    assert solved
    whole = [function for function in functions(text) if function.name in ("causal_mask", "scaled_dot_product_attention", "flash_attention_forward")]
    for function in whole:
        page = f"Some words first.\n\n    {textwrap.indent(renamed(function), '    ').lstrip()}\n\nAnd some after: no code."
        assert guard.look({"page.md": page.encode()}), function.name


def test_one_hidden_test_with_other_names_is_found(guard: Guard) -> None:
    text = (REPOSITORY / PLANTED["hidden tests"]).read_text(encoding="utf-8")
    tests = [function for function in functions(text) if function.name.startswith("test_")]
    found = [bool(guard.look({"test_extra.py": renamed(function).encode()})) for function in tests]
    assert sum(found) >= 0.8 * len(found), f"{sum(found)} of {len(found)}"


def test_three_lines_of_a_solution_in_a_hint_are_found(guard: Guard) -> None:
    text = (REPOSITORY / PLANTED["reference"]).read_text(encoding="utf-8")
    first = text.splitlines().index(next(line for line in text.splitlines() if "query_position = " in line))
    assert guard.look({"README.md": ("A hint: " + " ".join(text.splitlines()[first : first + 3])).encode()})


def test_what_stubs_show_is_no_secret(guard: Guard) -> None:
    stubs = {path.as_posix(): path.read_bytes() for path in (REPOSITORY / "assignments").glob("*/*.py") if path.name != "test_public.py"}
    assert guard.look(stubs) == []


def test_the_release_is_clean_and_was_not_passed_by_chance(guard: Guard, released: Path) -> None:
    files = {path.relative_to(released).as_posix(): path.read_bytes() for path in released.rglob("*") if path.is_file()}
    assert [str(finding) for finding in guard.look(files)] == []


def test_compiled_files_of_the_checking_tool_are_fine(guard: Guard, tmp_path: Path) -> None:
    for path in (REPOSITORY / "autograder" / "checking").glob("*.py"):
        compiled = py_compile.compile(str(path), str(tmp_path / f"{path.stem}.pyc"))
        assert guard.look({"x.pyc": Path(compiled or "").read_bytes()}) == [], path.name


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"PK\x03\x04broken",
        b"\x1f\x8bbroken",
        b"BZhbroken",
        b"{" * 5000,
        b"[" * 5000,
        b"\xff\xfe\x00",
        b"(" * 5000,
        "\ud800".encode("utf-8", "surrogatepass"),
        b"x" * 63 + b"=" * 9,
        b"\x80\x04broken",
    ],
)
def test_broken_files_give_no_alarm_and_no_error(guard: Guard, data: bytes) -> None:
    assert guard.look({"broken": data}) == []


def test_what_cannot_be_looked_into_is_said(guard: Guard) -> None:
    bomb = gzip.compress(b"\0" * (65 << 20), 1)
    (finding,) = guard.look({"figures.gz": bomb})
    assert "cannot be looked into" in str(finding)


def test_a_finding_says_where(guard: Guard) -> None:
    text = (REPOSITORY / PLANTED["reference"]).read_text(encoding="utf-8")
    (finding,) = guard.look({"docs/holiday.zip": as_zip(text)})
    assert "docs/holiday.zip" in str(finding)
    assert "reference_solutions/attention.py" in str(finding)
    assert "holiday.jpg" in str(finding)


def test_without_secrets_to_compare_with_there_is_no_guard(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="holds nothing"):
        read_secrets(tmp_path)


def test_a_student_s_own_words_are_no_secret() -> None:
    source = "def f(x):\n    return x\n"
    own = Secrets((Secret(Kind.REFERENCE, "r.py", source, ast.parse(source)),), ())
    assert Guard(own).look({"notes.md": b"def f(x):\n    return x\n"}) == []


def test_toy_leaks_stop_the_release_before_anything_is_written(toy: Any, tmp_path: Path) -> None:
    hidden = (toy.folder / "autograder/hidden_tests/test_masks.py").read_text()
    toy.write("assignments/01_masks/README.md", f"# 01 · Masks\n\n```python\n{hidden}```\n")
    with pytest.raises(ReleaseError, match=r"nothing was written: assignments/01_masks/README\.md holds .*test_masks\.py"):
        toy.release(tmp_path / "out")
    assert not (tmp_path / "out").exists()
