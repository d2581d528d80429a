"""The questions that a person grades: what the loader says about each mistake, and that those of this course can be graded."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl
import pytest
import torch

from autograder.authoring.assignments import read_assignments
from autograder.course.questions import Question, load_questions
from autograder.course.table import CourseError
from autograder.release.model_answers import read_model_answers
from autograder.release.wording import letters

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = [assignment.name for assignment in read_assignments(REPOSITORY)]
WHY = """## why · text · 2 points
**Why?**
Say it.

### Rubric
- 1.5 points: a reason
- 0.5 points: an example

### Answer
Because of *that*.
"""
SHAPE = """
## the-shape-2 · figure · 0.5 points
Draw it.
### Rubric
- 0.5 points: a line
### Answer
    plot()
"""


@pytest.fixture
def load(tmp_path: Path):
    folder = tmp_path / "reference_solutions" / "questions"
    folder.mkdir(parents=True)

    def load(text: str | bytes) -> tuple[Question, ...]:
        (folder / "demo.md").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_questions(tmp_path, "demo")

    return load


def test_reads_questions_in_their_order(load) -> None:
    why, shape = load(WHY + SHAPE)
    assert why == Question("why", "text", 2.0, "**Why?**\nSay it.", "- 1.5 points: a reason\n- 0.5 points: an example", "Because of *that*.")
    assert (shape.id, shape.kind, shape.points, shape.answer) == ("the-shape-2", "figure", 0.5, "plot()")
    assert (why.grade_id, why.cell_type, shape.grade_id, shape.cell_type) == ("question-why", "markdown", "question-the-shape-2", "code")


def test_no_file_and_an_empty_file_hold_no_question(load, tmp_path: Path) -> None:
    assert load_questions(tmp_path, "demo") == ()
    assert load("\n") == ()


def test_line_ends_of_another_system_make_no_difference(load) -> None:
    (why,) = load("\ufeff" + WHY.replace("\n", "\r\n"))
    assert (why.id, why.points, why.answer) == ("why", 2.0, "Because of *that*.")


@pytest.mark.parametrize(
    "heading",
    [
        "## why · essay · 2 points",
        "## Why · text · 2 points",
        "## 2nd · text · 2 points",
        "## why-not_yet · text · 2 points",
        "## why - text - 2 points",
        "## why · text",
        "## why · text · two points",
        "## why · text · -2 points",
        "## why · text · 2. points",
        "## why · text · 2 points, about",
        "## ",
    ],
)
def test_a_heading_that_is_none_is_shown_with_its_line(load, heading: str) -> None:
    with pytest.raises(CourseError) as raised:
        load(WHY + SHAPE.replace("## the-shape-2 · figure · 0.5 points", heading))
    assert f'demo.md, line 12: {heading!r} is not a question\'s heading; expected one like "## pattern · figure · 2 points"' in str(raised.value)


@pytest.mark.parametrize("points", ["0", "0.0"])
def test_a_question_is_worth_something(load, points: str) -> None:
    with pytest.raises(CourseError, match=r"demo\.md, line 1: a question worth 0 points; expected more than 0"):
        load(WHY.replace("2 points", f"{points} points"))


@pytest.mark.parametrize(
    "text",
    [
        WHY.replace("### Rubric\n- 1.5 points: a reason\n- 0.5 points: an example\n", ""),
        WHY.partition("### Answer")[0],
        WHY.replace("**Why?**\nSay it.\n", ""),
        WHY.replace("- 1.5 points: a reason\n- 0.5 points: an example\n", ""),
        WHY.replace("Because of *that*.\n", "\n"),
        WHY.replace("### Rubric", "### Later").replace("### Answer", "### Rubric").replace("### Later", "### Answer"),
        WHY + "### Answer\nOr of this.\n",
        WHY.replace("### Answer", "### Model answer"),
    ],
    ids=["no rubric", "no answer", "nothing asked", "empty rubric", "empty answer", "other order", "two answers", "another name"],
)
def test_a_question_has_its_three_parts(load, text: str) -> None:
    with pytest.raises(CourseError) as raised:
        load(SHAPE.lstrip() + text)
    assert str(raised.value) == ('demo.md, line 7: expected what is asked, then "### Rubric", then "### Answer", each once and none of them empty')


def test_what_stands_above_the_first_question_is_not_dropped(load) -> None:
    with pytest.raises(CourseError, match=r"demo\.md: the first line must be a question's heading"):
        load("# Questions of the demo\n\n" + WHY)


def test_two_questions_of_one_name(load) -> None:
    with pytest.raises(CourseError, match=r"demo\.md: two questions are called 'why'; expected each name once"):
        load(WHY + SHAPE + WHY)


def test_a_file_that_is_not_utf_8(load) -> None:
    with pytest.raises(CourseError, match=rf"demo\.md: byte {WHY.encode().index('·'.encode())} is not UTF-8; save the file as UTF-8"):
        load(WHY.encode("latin-1"))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "reference_solutions" / "questions" / "demo.md").mkdir(parents=True)
    with pytest.raises(CourseError, match=r"demo\.md cannot be read: Is a directory"):
        load_questions(tmp_path, "demo")


@pytest.mark.parametrize("name", NAMES)
def test_an_assignment_asks_for_one_figure_and_some_text(name: str) -> None:
    kinds = [question.kind for question in load_questions(REPOSITORY, name)]
    assert len(kinds) >= 2
    assert kinds.count("figure") == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_rubric_gives_as_many_points_as_the_question(name: str) -> None:
    for question in load_questions(REPOSITORY, name):
        lines = [re.match(r"- ([0-9]+(?:\.5)?) points?: \S", line) for line in question.rubric.splitlines()]
        assert all(lines), f"{question.id}: each line of the rubric is '- N points: what for'"
        assert sum(float(line[1]) for line in lines if line) == question.points, question.id


def test_no_question_says_its_answer() -> None:
    known = read_model_answers(REPOSITORY)
    shown = letters("\n".join(known.public))
    said = [(answer.question, sentence) for answer in known.answers for sentence in answer.sentences() if sentence in shown]
    assert known.answers
    assert said == []


@pytest.mark.parametrize("name", NAMES)
def test_the_figure_of_the_model_answer_can_be_drawn_with_the_reference(name: str, figures) -> None:
    (question,) = (question for question in load_questions(REPOSITORY, name) if question.kind == "figure")
    (answer,) = (answer for answer in read_model_answers(REPOSITORY).answers if Path(answer.path).stem == name and answer.question == question.id)
    path = REPOSITORY / "reference_solutions" / f"{name}.py"
    solution: dict[str, object] = {"__name__": name}
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), solution)
    assert answer.code
    namespace = {key: value for key, value in solution.items() if not key.startswith("_")}  # a notebook's cell sees no more than that
    for code in answer.code:
        exec(compile(code, f"{answer.path}, {question.id}", "exec"), namespace)
    drawn = figures()
    assert drawn, "no figure was made"
    assert all(figure.axes and any(axes.has_data() for axes in figure.axes) for figure in drawn)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch):
    """The figures that are open, on one thread and without a window; closed at the end."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda *args, **kwargs: None)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        yield lambda: [plt.figure(number) for number in plt.get_fignums()]
    torch.set_num_threads(threads)
    plt.close("all")
