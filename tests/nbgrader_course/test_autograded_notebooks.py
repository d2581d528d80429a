"""The autograded notebook and the course folder: what stands in them, and that nothing of a student's acts on the page."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attacks
import nbformat
import pytest

pytest.importorskip("nbgrader")

from nbconvert.filters.markdown_mistune import markdown2html_mistune
from nbgrader.nbgraderformat import reads as nbgrader_reads

from autograder.course.course import Assignment, Course, LatePolicy, Limits
from autograder.course.questions import Question
from autograder.gradebook.by_hand import HandGraded
from autograder.nbgrader_course.folder import write_course_folder
from autograder.nbgrader_course.inert import CODE_LIMIT, IMAGE_BYTES, OUTPUT_LIMIT, TEXT_LIMIT, inert_markdown, inert_outputs
from autograder.nbgrader_course.notebooks import autograded_notebook, notebook_bytes
from autograder.reports.model import Diagnosis, Isolation, Outcome, Report, Status, TestResult
from autograder.results.standings import standings
from autograder.submissions.answers import Answer

FIGURE = Question("pattern", "figure", 3.0, "Draw the *pattern* of $a_{ij}$.", "- 3 points: a triangle", "CANARY: the model answer")
TEXT = Question("why", "text", 2.0, "Say why.", "- 2 points: the variance", "CANARY: the model answer")
TESTS = (
    TestResult("test_masks", "Masks hide", Outcome.PASSED, 12.0, 12.0),
    TestResult("test_scale", "Scores are scaled", Outcome.FAILED, 0.0, 8.0, "Twice <b>too</b> large.", Diagnosis("d", "You divide by √d_model."), 7),
)
REPORT = Report(
    student="ann",
    assignment="01_attention",
    status=Status.GRADED,
    score=12.0,
    max_score=20.0,
    tests=TESTS,
    fingerprint="f1",
    submission_sha256="aa",
    suite_sha256="bb",
    grader_sha256="cc",
    torch_version="2.13.0",
    seed="seed-CANARY",
    sandbox=Isolation("require", ("process",)),
    attempt=1,
    graded_at="2026-10-06T08:00:00+00:00",
    submitted_at="2026-10-05T20:00:00.250000+00:00",
    wall_seconds=0.5,
    cpu_seconds=0.5,
    peak_memory_bytes=1000,
    flags=("CANARY: for the instructor",),
)
COURSE = Course("demo", "Demo", LatePolicy(), Limits(), (Assignment("01_attention", "A", 20.0),))


def _cells(notebook: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in notebook["cells"] if "nbgrader" in cell["metadata"]}


def _output(cell: dict[str, Any]) -> str:
    return "".join(output["text"] for output in cell["outputs"])


def test_it_is_a_notebook_that_nbgrader_reads_with_a_cell_for_each_of_the_gradebooks() -> None:
    answers = {"question-pattern": Answer("draw()", (attacks.display(image__png=attacks.encoded(attacks.png())),), {})}
    text = notebook_bytes(autograded_notebook(REPORT, "x = 1\n", questions=(FIGURE, TEXT), answers=answers)).decode()
    nbformat.validate(json.loads(text))
    assert json.loads(text)["cells"][0]["source"] == "Attempt 1, handed in 2026-10-05 20:00 UTC."
    cells = _cells(nbgrader_reads(text, as_version=4))
    assert list(cells) == ["question-pattern", "question-why", "test_masks", "test_scale", "submission"]
    assert cells["submission"]["source"] == "x = 1"
    assert (cells["test_scale"]["metadata"]["nbgrader"]["points"], cells["test_scale"]["metadata"]["nbgrader"]["locked"]) == (8.0, True)
    assert cells["question-pattern"]["outputs"][0]["data"]["image/png"] == attacks.encoded(attacks.png())
    assert cells["question-why"]["source"] == "*Not answered.*"


def test_a_tests_cell_says_what_went_wrong_and_no_more() -> None:
    notebook = autograded_notebook(REPORT, "x = 1\n", questions=(FIGURE, TEXT))
    cells = _cells(notebook)
    assert cells["test_scale"]["source"] == "# Scores are scaled"
    assert _output(cells["test_scale"]).splitlines() == [
        "Not passed: 0 of 8 points.",
        "Twice <b>too</b> large.",
        "You divide by √d_model.",
        "Look at line 7 of your file.",
    ]
    assert cells["test_scale"]["outputs"][0]["name"] == "stderr"
    assert (_output(cells["test_masks"]), cells["test_masks"]["outputs"][0]["name"]) == ("Passed: 12 of 12 points.\n", "stdout")
    text = notebook_bytes(notebook).decode()
    assert "CANARY" not in text
    assert "- 3 points: a triangle" in text


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (replace(REPORT, tests=TESTS[:1]), "Not graded yet with this test.\n"),
        (replace(REPORT, status=Status.BROKEN, tests=()), "Not run.\n"),
        (
            replace(REPORT, tests=(TESTS[0], replace(TESTS[1], outcome=Outcome.NOT_RUN, message="", misconception=None, line=None))),
            "Not run: 0 of 8 points.\n",
        ),
    ],
)
def test_every_test_of_the_gradebook_has_a_cell_whatever_the_report_has(report: Report, said: str) -> None:
    cells = _cells(autograded_notebook(report, None, suite=TESTS))
    assert _output(cells["test_scale"]) == said
    assert cells["test_scale"]["metadata"]["nbgrader"]["points"] == 8.0


class _Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.ids: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"{tag} {name}" for name, _ in attributes if tag != "a" or name not in ("class", "href"))}
        self.found |= {f"link to {value}" for name, value in attributes if name == "href" and not (value or "").startswith("#")}
        self.ids |= {value or "" for name, value in attributes if name == "id"}

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.found.add("comment")

    def handle_decl(self, decl: str) -> None:
        self.found.add("declaration")


_HARMLESS = set("p ul ol li blockquote pre code span div em strong del table thead tbody tr th td h1 h2 br hr a dl dt dd".split()) | {
    "code class", "span class", "div class", "pre class", "h1 id", "h2 id", "ol start", "th style", "td style",
}  # fmt: skip


@pytest.mark.parametrize("text", attacks.MARKDOWN)
def test_an_answers_markdown_renders_to_nothing_but_text(text: str) -> None:
    shown = inert_markdown(text)
    html = markdown2html_mistune(shown)
    page = _Tags(html)
    assert page.found <= _HARMLESS
    assert 'class="mermaid"' not in html
    assert not page.ids & {"question-pattern", "statusmessage", "notebook-container", "question-x"}
    assert r"\href" not in page.text  # where MathJax would find it


def test_some_of_these_attacks_would_do_something_without_cleaning() -> None:
    assert sum(not _Tags(markdown2html_mistune(text)).found <= _HARMLESS for text in attacks.MARKDOWN if "attachment:" not in text) > 12


def test_formulas_code_and_tables_of_an_honest_answer_still_work() -> None:
    text = "With $q_i \\cdot k_j / \\sqrt{d_k}$ and\n\n$$a < b \\\\ c & d$$\n\n```python\nif i < n: x[i] = 1  # yes\n```\n\n"
    text += "- *one*\n- `a < b`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    assert inert_markdown(text).replace("\u200b", "") == text
    html = markdown2html_mistune(inert_markdown(text))
    assert all(
        part in html for part in ("$q_i \\cdot k_j / \\sqrt{d_k}$", "<em>one</em>", "<code>a &lt; b</code>", "<td>1</td>", 'class="highlight"')
    )


def test_outputs_are_text_and_pictures_that_are_pictures() -> None:
    shown = inert_outputs(attacks.OUTPUTS)
    nbformat.validate({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
        {"cell_type": "code", "id": "a", "metadata": {}, "source": "", "execution_count": None, "outputs": shown}
    ]})  # fmt: skip
    assert {kind for output in shown for kind in output.get("data", {})} == {"text/plain", "image/png"}
    assert [output["data"]["image/png"] for output in shown if "image/png" in output.get("data", {})] == [attacks.encoded(attacks.png())]
    allowed: tuple[Any, ...] = ({}, {"image/png": {"alt": "what this cell drew"}})
    assert all(output["metadata"] in allowed for output in shown if "metadata" in output)
    assert "\x1b" not in json.dumps(shown)
    assert "[An output of the kind text/html is not shown.]" in [output.get("text") for output in shown]


def test_pictures_pasted_into_an_answer_are_shown_under_names_of_ours() -> None:
    answers = {"question-why": Answer("See below.", (), attacks.ATTACHMENTS)}
    notebook = autograded_notebook(REPORT, None, questions=(TEXT,), answers=answers)
    nbformat.validate(notebook)
    cell = _cells(notebook)["question-why"]
    assert cell["attachments"] == {"picture-2": {"image/png": attacks.encoded(attacks.png())}}
    assert "![picture 2](attachment:picture-2)" in cell["source"]
    assert cell["source"].count("is not shown") == 4
    assert attacks.IMAGE not in json.dumps(notebook)


@pytest.mark.parametrize(
    ("output", "note"),
    [
        (attacks.display(image__png=attacks.encoded(attacks.png(60_000, 60_000))), "60,000 by 60,000 pixels"),
        (attacks.display(image__png=attacks.encoded(attacks.png() + bytes(IMAGE_BYTES))), "bytes is not shown"),
        (attacks.display(image__png="A" * 5 * IMAGE_BYTES), "bytes is not shown"),
        (attacks.display(image__jpeg=attacks.encoded(b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff" + bytes(20))), "65,535 by 65,535 pixels"),
        (attacks.display(image__jpeg=attacks.encoded(attacks.png())), "is called image/jpeg and is none"),
    ],
)
def test_a_picture_that_would_fill_the_browsers_memory_is_named_and_left_out(output: dict[str, Any], note: str) -> None:
    assert note in inert_outputs([output])[0]["text"]


def test_a_jpeg_is_shown_and_everything_is_bounded() -> None:
    jpeg = attacks.encoded(b"\xff\xd8\xff\xe0\0\x10" + bytes(14) + b"\xff\xc0\0\x11\x08\0\x02\0\x02" + bytes(20))
    assert inert_outputs([attacks.display(image__jpeg=jpeg)])[0]["data"] == {"image/jpeg": jpeg}
    many = inert_outputs([{"output_type": "stream", "name": "stdout", "text": "x" * 10**6}] * 50)
    assert len(many) == OUTPUT_LIMIT + 1
    assert len(many[0]["text"]) < TEXT_LIMIT + 100
    assert "30 more outputs" in many[-1]["text"]
    cells = _cells(autograded_notebook(REPORT, "x" * 10**6, questions=(TEXT,), answers={"question-why": Answer("y" * 10**6, (), {})}))
    assert len(cells["submission"]["source"]) < CODE_LIMIT + 100
    assert len(cells["question-why"]["source"]) < TEXT_LIMIT + 100


def _write(folder: Path, submissions: Path, *reports: Report) -> Any:
    found = standings(reports, COURSE)
    return write_course_folder(folder, COURSE, found, HandGraded({"01_attention": (FIGURE,)}), submissions)


def _files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def _source(files: dict[str, Any]) -> set[str]:
    return {name for name in files if name.startswith("source/")}


def test_the_folder_is_as_nbgrader_lays_it_and_only_what_changed_is_written_again(tmp_path: Path) -> None:
    for student in ("ann", "ben"):
        handed = tmp_path / "submissions" / student / "01_attention"
        handed.mkdir(parents=True)
        (handed / "attention.py").write_text(f"x = '{student}'\n")
        (handed / "attention.ipynb").write_text(f'{{"cells": [], "metadata": {{"of": "{student}"}}, "nbformat": 4, "nbformat_minor": 5}}')
        (handed / "page.html").write_text(attacks.SCRIPT)
    folder, ben = tmp_path / "course", replace(REPORT, student="ben", submitted_at=None)
    update = _write(folder, tmp_path / "submissions", REPORT, ben)
    files = _files(folder)
    assert set(files) - _source(files) == {
        "submitted/ann/01_attention/attention.py", "submitted/ann/01_attention/timestamp.txt", "submitted/ben/01_attention/attention.py",
        "autograded/ann/01_attention/attention.ipynb", "autograded/ann/01_attention/timestamp.txt", "autograded/ben/01_attention/attention.ipynb",
        "submitted/ann/01_attention/attention.ipynb", "submitted/ben/01_attention/attention.ipynb",
    }  # fmt: skip
    assert {"source/01_attention/attention.ipynb", "source/01_attention/test_public.py"} < _source(files)
    assert b"BEGIN SOLUTION" in files["source/01_attention/attention.ipynb"][1]
    assert (folder / "autograded/ann/01_attention/timestamp.txt").read_text() == "2026-10-05 20:00:00.250000 UTC\n"
    assert update.written == 8 + len(_source(files))

    before = _files(folder)
    assert _write(folder, tmp_path / "submissions", REPORT, ben).written == 0
    assert _files(folder) == before
    assert _write(folder, tmp_path / "submissions", REPORT, replace(ben, tests=TESTS[:1])).written == 1
    assert _files(folder)["autograded/ann/01_attention/attention.ipynb"] == before["autograded/ann/01_attention/attention.ipynb"]

    _write(folder, tmp_path / "elsewhere", replace(REPORT, status=Status.MISSING, tests=(), submitted_at=None), ben)
    assert not (folder / "autograded/ann/01_attention").exists()
    assert (folder / "submitted/ben/01_attention/attention.py").read_text() == "x = 'ben'\n"
    assert (folder / "autograded/ben/01_attention/attention.ipynb").is_file()


def test_the_code_shown_is_the_one_that_was_graded(tmp_path: Path) -> None:
    import hashlib

    handed = tmp_path / "submissions" / "ann" / "01_attention"
    handed.mkdir(parents=True)
    (handed / "attention.py").write_text("x = 1\n")
    digest = hashlib.sha256(b"x = 1\n").hexdigest()
    for content, shown in ((b"x = 1\n", "x = 1"), (b"x = 2\n", "# The text that was graded is not at hand.")):
        _write(tmp_path / "course", tmp_path / "submissions", replace(REPORT, submission_sha256=hashlib.sha256(content).hexdigest()))
        notebook = json.loads((tmp_path / "course/autograded/ann/01_attention/attention.ipynb").read_text())
        assert _cells(notebook)["submission"]["source"] == shown
    # nbgrader gives 0 for everything where there is no notebook.
    submitted = tmp_path / "course" / "submitted" / "ann" / "01_attention"
    assert _write(tmp_path / "course", tmp_path / "submissions", replace(REPORT, submission_sha256=digest)).written == 2
    assert [cell["source"] for cell in json.loads((submitted / "attention.ipynb").read_text())["cells"]] == ["x = 1\n"]
    assert _write(tmp_path / "course", submitted.parents[1], replace(REPORT, submission_sha256=digest)).written == 0


def test_links_of_a_student_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "ben" / "01_attention"
    secret.mkdir(parents=True)
    (secret / "attention.py").write_text("ben's\n")
    (secret / "attention.ipynb").write_text('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}')
    submissions = tmp_path / "submissions"
    (submissions / "ann").mkdir(parents=True)
    (submissions / "ann" / "01_attention").symlink_to(secret)
    (submissions / "cyd" / "01_attention").mkdir(parents=True)
    (submissions / "cyd" / "01_attention" / "attention.py").symlink_to(secret / "attention.py")
    _write(tmp_path / "course", submissions, REPORT, replace(REPORT, student="cyd"))
    assert not list((tmp_path / "course" / "submitted").rglob("attention.*"))
    assert "ben's" not in "".join(path.read_text() for path in (tmp_path / "course" / "autograded").rglob("*.ipynb"))
