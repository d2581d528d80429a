"""Untrusted text: what is removed, what is escaped, and that nothing else is lost."""

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from autograder.reports import text

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = st.text(alphabet=st.sampled_from(list("ab1 _*`[]()<>!#@~|$^&;:/\\-+=.\n\t'\"{}w")), max_size=60) | st.text(max_size=60)


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07rest", "rest"),
        ("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]never ended", ""),
        ("a\x1b[38;5;", "a"),
        ("a\x00b\x07c\x7fd\x85e", "abcd\ne"),
        ("safe \u202egnp.exe\u202c", "safe gnp.exe"),
        ("\u2066x\u2069", "x"),
        ("zero\u200b\u200d\ufeffwidth\u00ad", "zerowidth"),
        ("tag\U000e0041", "tag"),
        ("half \ud800", "half \ufffd"),
        ("a\r\nb\rc\u2028d\x0ce", "a\nb\nc\nd\ne"),
        ("tab\tstop", "tab    stop"),
        ("한글 é 🎓 √d_k", "한글 é 🎓 √d_k"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 4),
    ],
)
def test_only_what_prints_is_left(dirty, clean):
    assert text.clean(dirty) == clean


def test_long_text_is_cut_with_a_note_that_counts_the_rest():
    assert text.clean("x" * 1_000_000, limit=10) == "xxxxxxxxxx [… 999,990 more characters]"
    assert text.clean("x" * 10, limit=10) == "x" * 10


def test_one_line_ends_in_an_ellipsis_within_its_limit():
    assert text.one_line("a\n b\t c") == "a b c"
    assert text.one_line("word " * 100, 20) == "word word word word…"


def test_a_name_is_never_empty():
    assert text.name("\u202e\x1b[2J") == "(unnamed)"


@given(HOSTILE | st.text(alphabet="\x1b[]\x9b;m0P\\\x07ab", max_size=40))
def test_clean_text_holds_no_control_or_format_character(dirty):
    assert not [character for character in text.clean(dirty) if unicodedata.category(character) in ("Cc", "Cf", "Cs") and character != "\n"]


@settings(max_examples=400)
@given(HOSTILE)
@example("://")
@example("#://1) :")
def test_escaped_text_renders_as_itself_and_as_nothing_but_a_paragraph(raw):
    html = RENDERER.render(text.escape_markdown(raw))
    assert set(re.findall(r"</?([a-z0-9]+)", html)) <= {"p", "br"}
    shown = RENDERER.parseInline(text.escape_markdown(raw))[0].children or []
    words = "".join(" " if token.type in ("softbreak", "hardbreak") else token.content for token in shown)
    assert words.replace("\u200b", "").split() == text.clean(raw).split()


@pytest.mark.parametrize("raw", ["@everyone", "see #12", "!7 and %3", "https://evil.example/x", "www.evil.example", "a@b.example"])
def test_what_a_forge_would_turn_into_a_link_is_broken_up(raw):
    assert "\u200b" in RENDERER.render(text.escape_markdown(raw))


def test_plain_sentences_stay_readable():
    sentence = "padding_mask raised ValueError: token_ids must be 2-D (B, S), got 3; 1.5 / 2 (√d_model). q @ k.T"
    assert text.escape_markdown(sentence) == sentence


@pytest.mark.parametrize("raw", ["x = '```'", "````\n# not a heading", "plain"])
def test_code_cannot_leave_its_block(raw):
    (token,) = [token for token in RENDERER.parse(text.markdown_code(raw)) if token.nesting == 0]
    assert token.type == "fence"
    assert token.content == raw + "\n"


def test_lines_are_counted_as_python_counts_them():
    source = "one\r\ntwo \x0c still two\rthree \u2028 still three\n\n"
    assert text.source_line(source, 2) == "two   still two"
    assert text.source_line(source, 3) == "three   still three"
    assert [text.source_line(source, line) for line in (0, 4, 99)] == [None, None, None]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('File "/home/grader/course/autograder/hidden_tests/test_attention.py", line 3', 'File "…/test_attention.py", line 3'),
        ("cannot open /tmp/w1/attention.py", "cannot open …/attention.py"),
        (r"at C:\Users\ta\attention.py", "at …/attention.py"),
        ("shape (2, 3) / 4, query/key/value, 1/2", "shape (2, 3) / 4, query/key/value, 1/2"),
    ],
)
def test_folders_of_the_grading_machine_are_not_shown(message, shown):
    assert text.without_folders(message) == shown
