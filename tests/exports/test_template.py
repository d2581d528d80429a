"""A filled-in template: the cells are what was asked for, every other byte is as it was."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.exports.model import ExportError
from autograder.exports.template import Template

CELLS = st.text(st.sampled_from('a=é"; ,\n\r\\'), max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4), st.text(st.sampled_from('5.é",;\n'), max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_only_the_filled_cell_changes(rows: list[tuple[str, str]], text: str, line_end: str) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows([("head", "er"), *(("x" + one, two) for one, two in rows)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.csv"
        path.write_bytes(out.getvalue().encode())
        template = Template(path)
        assert template.content() == path.read_bytes()
        template.fill(1, 1, text)
        expected = [["head", "er"], *(["x" + one, two] for one, two in rows)]
        expected[1][1] = text
        filled = template.content().decode()
        assert list(csv.reader(io.StringIO(filled, newline=""), strict=True)) == expected
        assert filled.startswith(out.getvalue()[: out.getvalue().index(line_end)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a,b\n1\n", "row 2 has 1 cells, but the header has 2"),
        (b'a,b\n"1,2\n', "is never closed"),
        (b'a,b\n"1"x,2\n', "text after a closing double quote"),
        (b"a,b\n\xe9,2\n", "byte 4 is not UTF-8"),
    ],
)
def test_a_broken_template_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "template.csv"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=message):
        Template(path)
