"""nbgrader's own programs on a graded class: formgrader in a real browser, the feedback and the export."""

from __future__ import annotations

import csv
import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attacks
import pytest

pytest.importorskip("nbgrader")

from tiny_class import InlineExecutor, TinyClass
from warm_grader import ROOT, warm_grader

from autograder.cli import main
from autograder.commands import grade as grade_command
from autograder.commands import publish as publish_command
from autograder.commands.formgrader import free_port
from autograder.course.questions import Question
from autograder.grading import jobs

FIGURE = Question("pattern", "figure", 2.0, "Draw the attention pattern.", "- 1 point: rows are queries", "MODEL ANSWER: a triangle")
TEXT = Question("scale", "text", 3.0, r"Why $\sqrt{d_k}$?", "- 3 points: the variance", "MODEL ANSWER: the variance")
QUESTIONS = (FIGURE, TEXT)
WRONG = (ROOT / "examples" / "submissions" / "dmitri.volkov" / "01_attention" / "attention.py").read_text()
TOTAL = 20 + sum(question.points for question in QUESTIONS)
# The command line of a repository that has these questions.
COMMAND = (
    "import sys; from pathlib import Path; from autograder.cli import main; from autograder.commands import publish;"
    "publish.REPOSITORY = Path(sys.argv[1]); sys.exit(main(sys.argv[2:]))"
)
WAIT = 60  # seconds, for what takes a moment


def _notebook() -> str:
    """Answers of a student who draws what was asked for, and tries everything else."""

    def cell(question: Any, source: str, **more: Any) -> dict[str, Any]:
        metadata = {"grade": True, "solution": True, "locked": False, "task": False, "points": question.points, "schema_version": 3}
        metadata |= {"grade_id": question.grade_id, "cell_type": question.cell_type}
        return {"cell_type": question.cell_type, "id": question.id, "metadata": {"nbgrader": metadata}, "source": source, **more}

    picture = attacks.display(image__png=attacks.encoded(attacks.png()))
    figure = cell(FIGURE, f"# {attacks.SCRIPT}\nshow(weights)", outputs=[picture, *attacks.OUTPUTS[:-3]], execution_count=1)
    text = cell(TEXT, "\n\n".join(attacks.MARKDOWN[:-1]), attachments=attacks.ATTACHMENTS)
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [figure, text]})


@dataclass
class Course:
    tiny: TinyClass
    environment: dict[str, str]

    @property
    def repository(self) -> Path:
        return self.tiny.folder / "repository"

    @property
    def folder(self) -> Path:
        return self.tiny.folder / "nbgrader_course"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.tiny.folder / 'gradebook.db'}"

    def arguments(self, *more: str) -> list[str]:
        places = ["--course", str(self.tiny.folder / "course.toml"), "--results", str(self.tiny.results), "--gradebook", self.url]
        return ["formgrader", str(self.tiny.submissions), *places, "--roster", str(self.tiny.folder / "roster.csv"), *more]

    def one(self, query: str) -> Any:
        with sqlite3.connect(self.tiny.folder / "gradebook.db") as connection:
            return connection.execute(query).fetchone()

    def nbgrader(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).parent / "nbgrader"), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]


def _in_the_bank(question: Question) -> str:
    heading = f"## {question.id} · {question.kind} · {question.points:g} points"
    return f"{heading}\n{question.prompt}\n### Rubric\n{question.rubric}\n### Answer\n{question.answer}\n"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, nbgrader_environment: dict[str, str]) -> Iterator[Course]:
    """Ann has one mistake and answered everything, Bob's file does not parse, Cem handed in nothing."""
    tiny = TinyClass.make(tmp_path_factory.mktemp("class"))
    tiny.hand_in("ann", WRONG)
    (tiny.submissions / "ann" / "01_attention" / "attention.ipynb").write_text(_notebook())
    (tiny.submissions / "ann" / "01_attention" / "timestamp.txt").write_text("2026-10-05 23:10:00 UTC\n")
    (tiny.folder / "roster.csv").write_text("student,first_name,last_name\nann,Ann,<img src=x onerror=\"document.title='pwned'\">\nbob,,\ncem,,\n")
    made = Course(tiny, nbgrader_environment)
    bank = made.repository / "reference_solutions" / "questions" / "attention.md"
    bank.parent.mkdir(parents=True)
    bank.write_text("\n".join(_in_the_bank(question) for question in QUESTIONS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish_command, "REPOSITORY", made.repository)
        patch.setattr(grade_command, "local_executor", lambda _jobs: InlineExecutor())
        patch.setattr(jobs, "_grader", warm_grader())
        patch.setattr(publish_command, "write_class_report", lambda folder, *_rest: folder / "class_report.html")
        patch.setenv("AUTOGRADER_SECRET", "a secret of the tests")
        assert tiny.grade("--assignment", "attention", gradebook=made.url) == 0
        assert main(made.arguments("--prepare-only")) == 0
        yield made


@pytest.fixture(scope="module")
def formgrader(course: Course) -> Iterator[str]:
    """The address that the command prints, token and all."""
    command = [sys.executable, "-c", COMMAND, str(course.repository), *course.arguments("--port", "0")]
    server = subprocess.Popen(command, cwd=course.tiny.folder, env=course.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    lines = []
    for line in server.stdout:
        lines.append(line)
        if line.startswith("formgrader: "):
            break
    else:
        pytest.fail("".join(lines))
    yield line.removeprefix("formgrader: ").strip()
    server.terminate()
    assert server.wait(60) == 0


def _wait(browser: Any, condition: Any) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, WAIT).until(lambda _browser: condition())


def _open(browser: Any, address: str, path: str) -> None:
    if not browser.current_url.startswith(address.split("/formgrader")[0]):
        browser.get(address)  # the token is asked for once
    browser.get(address.split("/formgrader")[0] + path)


def _texts(browser: Any, selector: str) -> list[str]:
    texts: list[str] = browser.execute_script("return Array.from(document.querySelectorAll(arguments[0])).map(e => e.innerText.trim())", selector)
    return texts


def _submission(course: Course, student: str) -> str:
    """The path of the student's page."""
    submitted = "submitted_assignment ON submitted_assignment.id = submitted_notebook.assignment_id"
    found = course.one(f"SELECT submitted_notebook.id FROM submitted_notebook JOIN {submitted} WHERE student_id = '{student}'")
    return f"/formgrader/submissions/{found[0]}/"


_ROWS = """return Array.from(document.querySelectorAll('#main-table tr')).map(row => Array.from(row.cells).map(
    cell => cell.textContent.trim() + (cell.querySelector('.glyphicon-ok') ? '*' : '')))"""


def _row(browser: Any, formgrader: str) -> list[str]:
    """Ann's row of the class list."""
    _open(browser, formgrader, "/formgrader/gradebook/01_attention/attention")
    _wait(browser, lambda: len(_texts(browser, "#main-table tr td.score")) == 2)
    rows: list[list[str]] = browser.execute_script(_ROWS)
    return next(row for row in rows if "Ann" in row[1])


def _input(browser: Any, element_id: str) -> Any:
    from selenium.webdriver.common.by import By

    return browser.find_element(By.ID, element_id)


def test_a_figure_is_graded_by_hand_and_a_regrade_keeps_it(course: Course, formgrader: str, browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    _open(browser, formgrader, "/formgrader/gradebook")
    _wait(browser, lambda: "01_attention" in _texts(browser, "#main-table a"))
    before = _row(browser, formgrader)
    assert before[2] == f"16.5 / {TOTAL:g}"
    assert before[6] == "*"  # needs manual grade

    page = _submission(course, "ann")
    _open(browser, formgrader, page)
    score = _input(browser, FIGURE.grade_id)
    _wait(browser, lambda: "needs_manual_grade" in score.get_attribute("class"))
    score.send_keys("1.5", Keys.TAB)
    comment = _input(browser, f"{FIGURE.grade_id}-comment")
    comment.send_keys("The colour bar is missing. é √", Keys.TAB)
    _wait(browser, lambda: course.one("SELECT count(*) FROM comment WHERE manual_comment LIKE '%√'") == (1,))
    _wait(browser, lambda: "needs_manual_grade" not in score.get_attribute("class"))
    assert course.one("SELECT count(*) FROM grade WHERE manual_score = 1.5 AND needs_manual_grade = 0") == (1,)
    assert _row(browser, formgrader)[2] == f"18 / {TOTAL:g}"

    assert course.tiny.grade("--assignment", "attention", "--force", gradebook=course.url) == 0
    assert _row(browser, formgrader)[2] == f"18 / {TOTAL:g}"
    _open(browser, formgrader, page)
    _wait(browser, lambda: _input(browser, FIGURE.grade_id).get_attribute("value") == "1.5")
    _wait(browser, lambda: _input(browser, f"{FIGURE.grade_id}-comment").get_attribute("value") == "The colour bar is missing. é √")
    assert "needs_manual_grade" not in _input(browser, FIGURE.grade_id).get_attribute("class")
    assert "needs_manual_grade" in _input(browser, TEXT.grade_id).get_attribute("class")


def test_nothing_of_a_students_notebook_acts_on_the_page(course: Course, formgrader: str, browser: Any) -> None:
    page = _submission(course, "ann")
    for path in ("/formgrader/manage_students", "/formgrader/gradebook/01_attention/attention", page):
        _open(browser, formgrader, path)
        _wait(browser, lambda: browser.execute_script("return document.readyState") == "complete")
        assert browser.title != "pwned"
    assert "show(weights)" in _texts(browser, "#notebook-container")[0]
    policy = browser.execute_async_script("fetch(location).then(answer => arguments[0](answer.headers.get('content-security-policy')))")
    assert "img-src 'self' data: blob:" in policy
    assert "beacon" not in " ".join(browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)"))
    acting = (
        "#notebook-container :is(script, iframe, svg, style, link, form, object, embed, video, math, details, [onerror], [onload], [src^='http'])"
    )
    assert _texts(browser, acting) == []
    links = browser.execute_script("return Array.from(document.querySelectorAll('#notebook-container a')).map(link => link.getAttribute('href'))")
    assert [link for link in links if not link.startswith("#")] == []
    pictures = browser.execute_script(
        "return Array.from(document.querySelectorAll('#notebook-container img')).map(i => [i.src.slice(0, 22), i.naturalWidth])"
    )
    assert pictures == [["data:image/png;base64,", 1]] * 3

    notebook = course.folder / "autograded" / "ann" / "01_attention" / "attention.ipynb"
    clean = notebook.read_text()
    cells = json.loads(clean)
    cells["cells"][1]["source"] += attacks.IMAGE
    notebook.write_text(json.dumps(cells))
    _open(browser, formgrader, page)
    _wait(browser, lambda: browser.title == "pwned")  # it would, if it were not cleaned
    notebook.write_text(clean)


def test_feedback_shows_the_mistake_and_the_comment_and_nothing_hidden(course: Course) -> None:
    course.one("UPDATE comment SET manual_comment = 'Well **argued**.' WHERE cell_id IN (SELECT id FROM base_cell WHERE name = 'submission')")
    course.nbgrader("generate_feedback", "01_attention", "--student=ann", "--force")
    html = (course.folder / "feedback" / "ann" / "01_attention" / "attention.html").read_text()
    report = next(path for path in (course.tiny.results / "01_attention" / "ann").glob("*.json"))
    tests = json.loads(report.read_text())["tests"]
    [said] = {test["misconception"]["says"] for test in tests if test["misconception"]}
    assert said.split(";")[0].split(":")[0][:40].replace("'", "&#39;") in html
    assert f"/ {float(TOTAL)})" in html
    assert "16.5" in html or "18.0" in html
    assert "Well <strong>argued</strong>." in html
    assert attacks.SCRIPT not in html
    assert attacks.IMAGE not in html
    hidden = (ROOT / "autograder" / "hidden_tests" / "test_attention.py").read_text().splitlines()
    lines = {line.strip() for line in hidden if len(line.strip()) > 30 and not line.strip().startswith(('"""', "@pytest"))}
    assert len(lines) > 50
    for text in (html, (course.folder / "autograded" / "ann" / "01_attention" / "attention.ipynb").read_text()):
        assert [line for line in lines if line in text] == []
        assert "MODEL ANSWER" not in text
        assert str(ROOT) not in text


def test_nbgraders_own_export_reads_the_scores(course: Course) -> None:
    course.nbgrader("export", "--to", "out.csv")
    with open(course.folder / "out.csv", newline="") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file) if row["assignment"] == "01_attention"}
    assert float(rows["ann"]["max_score"]) == TOTAL
    assert float(rows["ann"]["score"]) in (16.5, 18.0)
    assert rows["ann"]["timestamp"] == "2026-10-05 23:10:00"
    assert float(rows["bob"]["score"]) == 0.0


def test_grading_again_keeps_the_folder_in_step_and_settings_of_ones_own(course: Course) -> None:
    settings = course.folder / "nbgrader_config.py"
    assert settings.stat().st_mode & 0o077 == 0
    notebook = course.folder / "autograded" / "ann" / "01_attention" / "attention.ipynb"
    settings.write_text("c = get_config()  # mine\n")
    course.tiny.hand_in("ann", WRONG + "\n# once more\n")
    assert course.tiny.grade("--assignment", "attention", "--student", "ann", gradebook=course.url) == 0
    assert main(course.arguments("--prepare-only")) == 0
    assert "# once more" in notebook.read_text()
    assert "Attempt 2" in notebook.read_text()
    assert settings.read_text() == "c = get_config()  # mine\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--results", "nothing"), "holds no graded submission; run `autograder grade` first"), (("--gradebook", "none"), "needs a gradebook")],
)
def test_without_anything_to_show_one_sentence_says_what_to_do(course: Course, arguments: tuple[str, ...], said: str, capsys: Any) -> None:
    assert main(course.arguments(*arguments)) == 2
    assert said in capsys.readouterr().err


def test_the_next_free_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert free_port(port) != port
